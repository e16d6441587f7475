import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("A server", .timeLimit(.minutes(2)))
struct ServerFaultTests {
  private static let options = LockOptions(
    timeout: .seconds(5), ttl: .seconds(2), extend: .milliseconds(200))

  @Test(
    "If a restart empties the server, the lock is lost and not created again",
    .redisServer())
  func restartedEmpty() async throws {
    let server = RedisServer.current
    let lock = try await Locker(on: server).acquire(uniqueKey(), options: Self.options)
    server.kill()
    try server.restart()
    try await lock.waitUntilLost()
    #expect(lock.lossReason == .deleted)
    #expect(try !server.hasKey(lock.keys[0]))
    #expect(try await lock.release() == .deleted)
  }

  @Test(
    "If the server stands still for longer than the ttl, the lock is lost for good",
    .redisServer())
  func stoppedForLong() async throws {
    let server = RedisServer.current
    let locker = try await Locker(on: server) { $0.operationTimeout = .milliseconds(300) }
    let options = LockOptions(
      timeout: .seconds(5), ttl: .milliseconds(800), extend: .milliseconds(100))
    let lock = try await locker.acquire(uniqueKey(), options: options)
    server.pause()
    // A waiter whose command is executed after the call has ended.
    let other = uniqueKey("other")
    await expectError(.unreachable) {
      try await locker.acquire(other, options: LockOptions(timeout: .milliseconds(300)))
    }
    try await lock.waitUntilLost()
    #expect(lock.lossReason == .expired)
    server.resume()
    await eventually { try !server.hasKey(lock.keys[0]) && !server.hasKey(other) }
    #expect(!lock.isHeld)
    // Nor by commands that were queued at the server meanwhile.
    try await locker.acquire(other).release()
    #expect(try !server.hasKey(lock.keys[0]))
  }

  @Test(
    "If the server holds back all writes, or all commands, the lock is kept", .redisServer(),
    arguments: ["WRITE", "ALL"])
  func clientPause(mode: String) async throws {
    let server = RedisServer.current
    let lock = try await Locker(on: server).acquire(uniqueKey(), options: Self.options)
    let firstEnd = ContinuousClock.now + lock.remaining
    try RedisClient(server)("CLIENT", "PAUSE", "700", mode)
    await eventually { ContinuousClock.now + lock.remaining > firstEnd + .seconds(1) }
    #expect(lock.isHeld)
    #expect(try await lock.release() == .released)
  }

  @Test(
    "If the server hangs up on idle clients, the locker reconnects unnoticed",
    .redisServer())
  func idleTimeout() async throws {
    let (server, admin) = (RedisServer.current, RedisClient(.current))
    let locker = try await Locker(on: server) { $0.clientName = "idle" }
    try await locker.acquire(uniqueKey()).release()
    try admin("CONFIG", "SET", "timeout", "1")
    for _ in 0..<2 {
      await eventually("the idle connection is closed") {
        try admin("CLIENT", "LIST").string?.contains(" name=idle ") == false
      }
      try await locker.acquire(uniqueKey()).release()
    }
  }

  @Test(
    "If the server evicts the key, the next extension notices the loss of the lock", .redisServer())
  func eviction() async throws {
    let (server, admin) = (RedisServer.current, RedisClient(.current))
    let options = LockOptions(timeout: .seconds(5), ttl: .seconds(30), extend: .milliseconds(200))
    let lock = try await Locker(on: server).acquire(uniqueKey(), options: options)
    let information = try #require(admin("INFO", "memory").string)
    let used = try #require(
      information.split(separator: "\r\n").first { $0.hasPrefix("used_memory:") })
    let bytes = try #require(Int(used.dropFirst("used_memory:".count)))
    try admin("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
    try admin("CONFIG", "SET", "maxmemory", "\(bytes + 1_000_000)")
    // All of these outlive the lock.
    let filler = String(repeating: "x", count: 10_000)
    for number in 0..<300 { try admin("SET", "filler-\(number)", filler, "EX", "3600") }
    #expect(try !server.hasKey(lock.keys[0]), "the test must make the server evict the key")
    let start = ContinuousClock.now
    try await lock.waitUntilLost()
    #expect(ContinuousClock.now - start < .inTime)
    #expect(lock.lossReason == .deleted)
  }

  @Test(
    "The longest keys can be taken, waited for and released on the server with the lowest limit",
    .redisServer("--proto-max-bulk-len", "1mb"))
  func longestKeys() async throws {
    let (holder, waiter) = (try await Locker(on: .current), try await Locker(on: .current))
    let key = String(repeating: "k", count: LockKeys.longest)
    let first = try await holder.acquire(key, options: .patient)
    let waiting = try await queueUp(waiter, for: key)
    try await first.release()
    #expect(try await expectPromptly(waiting).release() == .released)
    await expectNothingLeft(key)
    await expectError(.invalidKey) { try await holder.acquire(key + "k") }
    await expectError(.invalidKey) { try await holder.acquire([key, "k"]) }
  }
}
