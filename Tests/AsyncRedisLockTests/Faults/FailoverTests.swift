import AsyncRedisLock
import FaultProxy
import Foundation
import PrivateRedis
import Testing

@Suite("A failover", .timeLimit(.minutes(2)))
struct FailoverTests {
  @Test(
    "After a failover to a replica without the lock, two may hold it until an extension, the later with a larger number"
  )
  func lostWrite() async throws {
    let master = try RedisServer(arguments: ["--repl-diskless-sync-delay", "0"], listen: .tcp)
    defer { master.stop() }
    let replica = try RedisServer()
    defer { replica.stop() }
    let link = try ReplicationLink(to: try #require(master.port))
    defer { link.stop() }
    // The address leads to the master first and to the replica later, like a DNS name or a virtual address.
    let address = replica.directory + "/current"
    let toMaster = try FaultProxy(to: master, .unixSocket)
    defer { toMaster.stop() }
    try FileManager.default.createSymbolicLink(
      atPath: address, withDestinationPath: String(toMaster.url.trimmingPrefix("unix://")))

    try RedisClient(replica)("REPLICAOF", "127.0.0.1", link.port)
    let options = LockOptions(timeout: .seconds(5), ttl: .seconds(20), extend: .milliseconds(500))
    let holder = try await Locker(url: "unix://\(address)")
    let early = try await holder.acquire(uniqueKey("early"), options: options)
    await eventually(within: .seconds(10), "the replica follows") {
      try replica.hasKey(early.keys[0])
    }
    // From here on, no write reaches the replica.
    link.fallSilent()
    let lost = try await holder.acquire(uniqueKey("lost"), options: options)
    #expect(try !replica.hasKey(lost.keys[0]))

    master.kill()
    link.stop()
    try RedisClient(replica)("REPLICAOF", "NO", "ONE")
    try FileManager.default.removeItem(atPath: address)
    try FileManager.default.createSymbolicLink(
      atPath: address, withDestinationPath: try #require(replica.socketPath))
    let other = try await Locker(url: "unix://\(address)")
    let taken = try await other.acquire(lost.keys[0], options: options)
    // No lease can help here. The protected resource can tell the holders apart.
    #expect(taken.fencingToken ?? 0 > lost.fencingToken ?? .max)
    let start = ContinuousClock.now
    try await lost.waitUntilLost()
    #expect(ContinuousClock.now - start < .seconds(5))
    #expect(lost.lossReason == .takenByAnother && lost.newHolder?.value == taken.token)
    #expect(taken.isHeld)
    // The keys that the replica knew are still usable.
    #expect(early.isHeld)
    #expect(try await early.release() == .released)
    #expect(try await taken.release() == .released)
  }
}
