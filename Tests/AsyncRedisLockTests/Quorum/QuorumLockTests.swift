import FaultProxy
import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("Locks of a quorum", .timeLimit(.minutes(3)))
struct QuorumLockTests {
  private static let options = LockOptions(
    timeout: .seconds(10), ttl: .seconds(3), extend: .milliseconds(300))

  @Test(
    "All servers hold the same token, which says that waiters are not told, and give it back",
    arguments: [3, 5])
  func everywhere(count: Int) async throws {
    let quorum = try QuorumServers(count)
    defer { quorum.stop() }
    let locker = try await quorum.locker()
    #expect(locker.isConnected)
    try await locker.ping()
    var last: UInt64 = 0
    for keys in [[uniqueKey()], [uniqueKey("one"), uniqueKey("two")]] {
      let lock = try await locker.acquire(keys)
      #expect(lock.isHeld)
      #expect(lock.token.hasPrefix("rl1s:"))
      #expect(lock.fencingToken ?? 0 > last)
      last = lock.fencingToken ?? 0
      for key in lock.keys {
        await eventually("all servers hold the token") {
          try quorum.values(of: key).allSatisfy { $0 == lock.token }
        }
      }
      try await lock.extend(by: .seconds(20))
      #expect(lock.remaining > .seconds(15))
      let status = try await locker.inspect(keys[0])
      #expect(status?.holder.lockerID == locker.id)
      #expect(try await lock.release() == .released)
      for key in lock.keys { await quorum.expectFree(key) }
      #expect(try await locker.inspect(keys[0]) == nil)
    }
    await locker.close()
    #expect(!locker.isConnected)
  }

  private enum Outage: CaseIterable { case killed, paused }

  @Test(
    "While a minority is dead or silent, locks are taken, extended, given back, and not held up",
    arguments: [3, 5], Outage.allCases)
  private func minority(count: Int, outage: Outage) async throws {
    let quorum = try QuorumServers(count)
    defer { quorum.stop() }
    let locker = try await quorum.locker { $0.operationTimeout = .seconds(20) }
    let gone = quorum.servers.suffix(count / 2)
    for server in gone { outage == .killed ? server.kill() : server.pause() }
    let key = uniqueKey()
    let attempt = await Attempt { try await locker.acquire(key, options: Self.options) }
    let lock = try attempt.result.get()
    try await lock.extend(by: .seconds(5))
    try await Task.sleep(for: .milliseconds(700))
    #expect(lock.isHeld)
    let released = await Attempt { try await lock.release() }
    #expect(released.value == .released)
    let next = try await locker.acquireIfAvailable(key)
    #expect(try await next?.release() == .released)
    try await locker.ping()
    #expect(locker.isConnected)
    #expect(attempt.duration + released.duration < .inTime)
    for server in gone { if outage == .killed { try server.restart() } else { server.resume() } }
    await quorum.expectFree(key)
    await locker.close()
  }

  @Test(
    "Without a majority, the error counts the servers and names the reason of each, and nothing stays"
  )
  func majorityGone() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let locker = try await quorum.locker { $0.operationTimeout = .milliseconds(300) }
    quorum.servers[0].kill()
    quorum.servers[1].pause()
    let key = uniqueKey()
    let attempt = await Attempt { try await locker.acquireIfAvailable(key) }
    let error = try #require(attempt.error)
    #expect(error.code == .unreachable)
    #expect(error.isRetryable)
    #expect(error.message.contains("1 of 3 servers answered, 2 needed: "), "\(error)")
    for server in quorum.servers[..<2] {
      #expect(error.message.contains(server.socketPath ?? "?"), "\(error)")
    }
    await expectError(.unreachable) { try await locker.ping() }
    quorum.servers[1].resume()
    try quorum.servers[0].restart()
    await quorum.expectFree(key)
    let lock = try await locker.acquire(key, options: Self.options)
    #expect(try await lock.release() == .released)
    await expectError(.unreachable) {
      for server in quorum.servers[1...] { server.kill() }
      return try await quorum.locker()
    }
  }

  @Test(
    "Fencing tokens rise from one majority to the next, whatever each server has counted so far")
  func fences() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let locker = try await quorum.locker { $0.operationTimeout = .milliseconds(500) }
    let key = uniqueKey()
    // A server that is far ahead, for example since its clock was.
    try RedisClient(quorum.servers[2])("SET", "redis-lock:fence", "8000000000000000")
    var last: UInt64 = 0
    for absent in [1, 2, 0, 2, 1, 0] {
      quorum.servers[absent].pause()
      let lock = try await locker.acquire(key, options: Self.options)
      #expect(lock.fencingToken ?? 0 > last, "without server \(absent)")
      last = lock.fencingToken ?? 0
      #expect(try await lock.release() == .released)
      quorum.servers[absent].resume()
      await quorum.expectFree(key)
    }
    await locker.close()
  }

  @Test("Lockers that wait get the lock one after the other, with rising fencing tokens")
  func waiting() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let lockers = [try await quorum.locker(), try await quorum.locker(), try await quorum.locker()]
    let (record, key) = (HoldRecord(), uniqueKey())
    let options = LockOptions(
      retry: .milliseconds(20), timeout: .seconds(20), ttl: .seconds(3))
    let workers = lockers.enumerated().flatMap { number, locker in
      // Two tasks each, so that the lock also passes within a process.
      (0..<2).map { _ in Task { await record.work(number, on: locker, key, options) } }
    }
    await eventually(within: .seconds(40), "each locker has had the lock") {
      lockers.indices.allSatisfy { record.count(of: $0) >= 3 }
    }
    record.stop()
    for worker in workers { await worker.value }
    #expect(record.overlaps.isEmpty, "\(record.overlaps.prefix(3))")
    #expect(record.disorders.isEmpty, "\(record.disorders.prefix(3))")
    await quorum.expectFree(key)

    let lock = try await lockers[0].acquire(key, options: Self.options)
    let attempt = await Attempt {
      try await lockers[1].acquire(key, options: LockOptions(timeout: .milliseconds(300)))
    }
    #expect(attempt.error?.code == .timeout)
    #expect(attempt.error?.holder?.lockerID == lockers[0].id)
    #expect(try await lockers[1].acquireIfAvailable(key) == nil)
    #expect(try await lockers[1].forceRelease(key)?.lockerID == lockers[0].id)
    try await lock.waitUntilLost()
    #expect(lock.lossReason == .deleted)
    await quorum.expectFree(key)
    for locker in lockers { await locker.close() }
  }

  @Test("A lock that is left to another process is taken over by a majority, with a larger number")
  func handedOver() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let (first, second) = (try await quorum.locker(), try await quorum.locker())
    let lock = try await first.acquire(uniqueKey(), options: Self.options)
    let detached = try await lock.detach()
    quorum.servers[1].kill()
    let adopted = try await second.adopt(detached, options: Self.options)
    #expect(adopted.fencingToken ?? 0 > lock.fencingToken ?? .max)
    #expect(adopted.token != lock.token)
    await expectError(.lost) { try await first.adopt(detached, options: Self.options) }
    #expect(adopted.isHeld)
    #expect(try await adopted.release() == .released)
    try quorum.servers[1].restart()
    await quorum.expectFree(lock.keys[0])
  }

  @Test(
    "A lock is taken when a majority that has refused it for the moment does so no more",
    arguments: [false, true])
  func refusedForAMoment(waits: Bool) async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let locker = try await quorum.locker { $0.operationTimeout = .seconds(60) }
    func requireReplicas(_ count: Int) throws {
      for server in quorum.servers[..<2] {
        try RedisClient(server)("CONFIG", "SET", "min-replicas-to-write", "\(count)")
      }
    }
    try requireReplicas(1)
    let (key, options) = (uniqueKey(), LockOptions(timeout: .seconds(60), ttl: .seconds(60)))
    let taking = Task<Lock?, any Error> {
      waits
        ? try await locker.acquire(key, options: options)
        : try await locker.acquireIfAvailable(key, options: options)
    }
    await eventually("they are asked again and again") {
      try quorum.servers[..<2].allSatisfy { try $0.errors("NOREPLICAS") >= 3 }
    }
    try requireReplicas(0)
    let lock = try #require(try await taking.value)
    #expect(try await lock.release() == .released)
    await quorum.expectFree(key)
    await locker.close()
  }

  @Test("A locker without fencing tokens takes locks in one round")
  func withoutFences() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let locker = try await quorum.locker { $0.isFencingEnabled = false }
    let lock = try await locker.acquire(uniqueKey())
    #expect(lock.fencingToken == nil)
    #expect(try await lock.release() == .released)
    await quorum.expectFree(lock.keys[0])
    for server in quorum.servers {
      #expect(try RedisClient(server)("EXISTS", "redis-lock:fence").integer == 0)
    }
  }

  @Test("Servers that refuse a lock or a login for good end the call, also without a timeout")
  func refused() async throws {
    let servers = try (0..<3).map { _ in try RedisServer(listen: .tcp) }
    defer { for server in servers { server.stop() } }
    let users = try servers.map { server in
      try RedisClient(server)(
        "ACL", "SETUSER", "locks", "on", ">password", "~*lock*", "&*", "+@all")
      return "127.0.0.1:\(server.port ?? 0)"
    }
    let locker = try await Locker(
      urls: users.map { "redis://locks:password@\($0)" }, restartDelay: .zero)
    for _ in 0..<5 {
      let attempt = await Attempt {
        try await locker.acquire("forbidden", options: LockOptions(timeout: nil))
      }
      #expect(attempt.error?.code == .refused, "\(attempt)")
      #expect(attempt.error?.serverCode == "NOPERM", "\(attempt)")
      await expectError(.refused) { try await locker.acquireIfAvailable("forbidden") }
      await expectError(.refused) {
        try await Locker(urls: users.map { "redis://locks:wrong@\($0)" }, restartDelay: .zero)
      }
    }
    await locker.close()
  }

  @Test(
    "Closing gives the locks back on all servers, and waits for a silent one no longer than it may")
  func closing() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let locker = try await quorum.locker { $0.operationTimeout = .milliseconds(500) }
    let locks = [
      try await locker.acquire(uniqueKey("a")), try await locker.acquire(uniqueKey("b")),
    ]
    quorum.servers[0].pause()
    let closed = await Attempt { await locker.close() }
    #expect(closed.duration < .inTime)
    quorum.servers[0].resume()
    for lock in locks { await quorum.expectFree(lock.keys[0]) }
  }

  @Test("A server that is named twice, by two addresses, counts once")
  func sameServer() async throws {
    let server = try RedisServer(listen: .tcp)
    defer { server.stop() }
    let other = try RedisServer()
    defer { other.stop() }
    let port = server.port ?? 0
    let urls = ["redis://127.0.0.1:\(port)", "redis://localhost:\(port)", other.url]
    let locker = try await Locker(urls: urls, restartDelay: .zero)
    let lock = try await locker.acquire(uniqueKey(), options: Self.options)
    #expect(try await lock.release() == .released)
    other.kill()
    let attempt = await Attempt {
      try await locker.acquire(["a", "b"], options: LockOptions(timeout: .milliseconds(500)))
    }
    #expect(attempt.error?.code == .unreachable, "\(attempt)")
    #expect(attempt.error?.message.contains("same server") == true, "\(attempt)")
    // The second request for one key finds the token there.
    let single = await Attempt { try await locker.acquireIfAvailable("a") }
    #expect(single.error?.code == .unreachable, "\(single)")
    #expect(single.error?.message.contains("same server") == true, "\(single)")
    await eventually("as for a ping") { !locker.isConnected }
    await expectError(.unreachable) { try await locker.ping() }
    await locker.close()
  }

  @Test("A server that does not tell its run_id cannot be told from the others, and is refused")
  func unknownServer() async throws {
    let servers = try (0..<3).map { _ in try RedisServer(listen: .tcp) }
    defer { for server in servers { server.stop() } }
    let urls = try servers.map { server in
      try RedisClient(server)(
        "ACL", "SETUSER", "locks", "on", ">password", "~*", "&*", "+@all", "-info")
      return "redis://locks:password@127.0.0.1:\(server.port ?? 0)"
    }
    let locker = try await Locker(urls: urls, restartDelay: .zero)
    let attempt = await Attempt { try await locker.acquire(uniqueKey()) }
    #expect(attempt.error?.code == .refused, "\(attempt)")
    #expect(attempt.error?.serverCode == "NOPERM", "\(attempt)")
    await locker.close()
  }
}
