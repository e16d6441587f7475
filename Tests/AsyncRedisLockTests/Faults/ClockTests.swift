import AsyncRedisLock
import Foundation
import PrivateRedis
import Testing

@Suite(
  "A clock that is set", .timeLimit(.minutes(2)),
  .enabled("There is no C compiler here.") { ClockShim.isAvailable })
struct ClockTests {
  private static let options = LockOptions(
    timeout: .seconds(5), ttl: .seconds(5), extend: .milliseconds(300))

  @Test(
    "If the server's clock is set forward, the lock ends, and the next extension tells its holder")
  func serverForward() async throws {
    let shim = try ClockShim()
    let server = try RedisServer(environment: shim.environment)
    defer { server.stop() }
    let (first, second) = (try await Locker(on: server), try await Locker(on: server))
    let lock = try await first.acquire(uniqueKey(), options: Self.options)
    try shim.set(offset: 60)
    let start = ContinuousClock.now
    let other = try await second.acquire(lock.keys[0], options: Self.options)
    #expect(other.fencingToken ?? 0 > lock.fencingToken ?? .max)
    try await lock.waitUntilLost()
    #expect(ContinuousClock.now - start < .inTime)
    #expect(lock.lossReason == .takenByAnother)
    #expect(other.isHeld)
    #expect(try await other.release() == .released)
  }

  @Test("If the server's clock is set back, no lock is valid for longer than its holder assumes")
  func serverBack() async throws {
    let shim = try ClockShim()
    let server = try RedisServer(environment: shim.environment)
    defer { server.stop() }
    let (locker, client) = (try await Locker(on: server), RedisClient(server))
    let brief = LockOptions(ttl: .milliseconds(600), extend: nil)
    let (kept, lock) = (
      try await locker.acquire(uniqueKey("kept"), options: Self.options),
      try await locker.acquire(uniqueKey("lost"), options: brief)
    )
    let end = ContinuousClock.now + lock.remaining
    try shim.set(offset: -600)
    #expect(try client("PTTL", lock.keys[0]).integer ?? 0 > 500_000)
    try await lock.waitUntilLost()
    #expect(ContinuousClock.now >= end - .milliseconds(1))
    #expect(lock.lossReason == .expired)
    await eventually("the lock that was lost does not last for ten minutes") {
      try client("EXISTS", lock.keys[0]) == .integer(0)
    }
    await eventually("nor would the one that is held, should its process die") {
      try client("PTTL", kept.keys[0]).integer.map { $0 > 0 && $0 <= 5_000 } ?? false
    }
    #expect(kept.isHeld)
    #expect(try await kept.release() == .released)
    // Fencing tokens do not go back with the clock.
    #expect(try await locker.acquire(kept.keys[0]).fencingToken ?? 0 > kept.fencingToken ?? .max)
  }

  @Test("Setting the client's clock changes nothing", .redisServer(), arguments: [3600, -3600])
  func client(seconds: Int) async throws {
    let shim = try ClockShim()
    let key = uniqueKey()
    let holder = try LockTakerProcess(
      [RedisServer.current.url, "keep", key, "1000", "150"], environment: shim.environment)
    await eventually { holder.hasSaid("held") }
    try shim.set(offset: seconds)
    await holder.expectKept(key)
  }
}
