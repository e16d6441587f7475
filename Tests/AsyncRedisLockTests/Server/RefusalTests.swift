import AsyncRedisLock
import Foundation
import PrivateRedis
import Testing

@Suite("A server that refuses for good", .timeLimit(.minutes(2)), .redisServer())
struct RefusalTests {
  /// So long that a call that waits in vain is noticed.
  private static let patient = LockOptions(timeout: .seconds(30))

  private let client = RedisClient(.current)

  /// Expects that a call is refused at once and for good.
  private func expectRefusal<Value: Sendable>(
    _ code: String, _ phase: LockError.Phase = .acquire,
    sourceLocation: SourceLocation = #_sourceLocation, _ call: () async throws -> Value
  ) async {
    let attempt = await Attempt(call)
    #expect(attempt.error?.code == .refused, sourceLocation: sourceLocation)
    #expect(attempt.error?.serverCode == code, sourceLocation: sourceLocation)
    #expect(attempt.error?.phase == phase, sourceLocation: sourceLocation)
    #expect(attempt.error?.isRetryable == false, sourceLocation: sourceLocation)
    #expect(attempt.duration < .inTime, sourceLocation: sourceLocation)
  }

  // MARK: The server's state

  @Test(
    "A server whose memory is full refuses new locks and keeps existing ones", .redisServer()
  )
  func outOfMemory() async throws {
    let (client, locker) = (RedisClient(.current), try await Locker())
    let held = try await locker.acquire(
      uniqueKey("held"), options: LockOptions(ttl: .seconds(5), extend: .milliseconds(100)))
    let number = try #require(held.fencingToken)
    try client("CONFIG", "SET", "maxmemory", "1")
    let key = uniqueKey()
    await expectRefusal("OOM") { try await locker.acquire(key, options: Self.patient) }
    await expectRefusal("OOM") { try await locker.acquire([key, "b"], options: Self.patient) }
    await expectRefusal("OOM") { try await locker.acquireIfAvailable(key) }
    // A new connection cannot raise the fence counter; the first acquisition reports that.
    let second = try await Locker()
    await expectRefusal("OOM") { try await second.acquire(key, options: Self.patient) }
    #expect(try client("EXISTS", key) == .integer(0))

    let firstEnd = ContinuousClock.now + held.remaining
    await eventually { ContinuousClock.now + held.remaining > firstEnd }
    try await held.extend(by: .seconds(100))
    #expect(held.remaining > .seconds(90))
    #expect(try await locker.inspect(held.keys[0])?.holder.value == held.token)
    #expect(try await held.release() == .released)
    #expect(try client("EXISTS", held.keys[0]) == .integer(0))

    try client("CONFIG", "SET", "maxmemory", "0")
    let first = try await locker.acquire(key)
    #expect(first.fencingToken ?? 0 > number)
    // A waiter can raise the counter, and so can a call that finds the lock free.
    let waiting = Task { try await second.acquire(key, options: Self.patient) }
    await eventually { try client("ZCARD", "redis-lock:queue:{\(key)}") == .integer(1) }
    try await first.release()
    #expect(try await waiting.value.fencingToken ?? 0 > first.fencingToken ?? .max)
  }

  @Test("If a server cannot save, it refuses, and the caller is told at once", .redisServer())
  func misconfigured() async throws {
    let server = RedisServer.current
    let (client, locker) = (RedisClient(server), try await Locker())
    let held = try await locker.acquire(
      uniqueKey("held"), options: LockOptions(ttl: .milliseconds(500), extend: .milliseconds(100)))
    let givenKey = uniqueKey("given")
    let given = try await locker.acquire(givenKey, options: LockOptions(ttl: .seconds(60)))
    try FileManager.default.createDirectory(
      atPath: server.directory + "/dump.rdb", withIntermediateDirectories: false)
    try client("CONFIG", "SET", "save", "3600 1")
    try client("BGSAVE")
    await eventually {
      try client("INFO", "persistence").string?.contains("last_bgsave_status:err") == true
    }
    let key = uniqueKey()
    await expectRefusal("MISCONF") { try await locker.acquire(key, options: Self.patient) }
    await expectError(.refused) { try await given.release() }
    // The lock is not extended, and only the clock tells its holder in time.
    try await held.waitUntilLost()
    #expect(held.lossReason == .expired)
    try client("CONFIG", "SET", "save", "")
    await eventually("the release goes on") { try client("EXISTS", givenKey) == .integer(0) }
    try await locker.acquire(key).release()
  }

  // MARK: Keys

  @Test("A key that is not a string is refused and left alone", arguments: [true, false])
  func wrongType(isFencingEnabled: Bool) async throws {
    let key = uniqueKey()
    try client("RPUSH", key, "element")
    let locker = try await Locker { $0.isFencingEnabled = isFencingEnabled }
    await expectRefusal("WRONGTYPE") { try await locker.acquire(key, options: Self.patient) }
    await expectRefusal("WRONGTYPE") {
      try await locker.acquire([key, uniqueKey()], options: Self.patient)
    }
    await expectRefusal("WRONGTYPE") { try await locker.acquireIfAvailable(key) }
    await expectRefusal("WRONGTYPE", .inspect) { try await locker.inspect(key) }
    await expectRefusal("WRONGTYPE", .forceRelease) { try await locker.forceRelease(key) }
    #expect(try client("LRANGE", key, "0", "-1") == .array([.string("element")]))
    #expect(try client("PTTL", key) == .integer(-1))
  }

  @Test("If a held key is no longer a string, the lock is lost and the key stays")
  func wrongTypeLater() async throws {
    let locker = try await Locker()
    let lock = try await locker.acquire(
      uniqueKey(), options: LockOptions(ttl: .seconds(60), extend: nil))
    try client("DEL", lock.keys[0])
    try client("RPUSH", lock.keys[0], "element")
    let attempt = await Attempt { try await lock.extend(by: .seconds(100)) }
    #expect(attempt.error?.code == .lost)
    #expect(!lock.isHeld)
    #expect(try await lock.release() == .takenByAnother)
    #expect(try client("LLEN", lock.keys[0]) == .integer(1))
  }

  @Test(
    "If the fence counter is broken, acquisitions are refused and leave no key",
    arguments: [["LPUSH", "x"], ["SET", "words"], ["SET", "9223372036854775807"]])
  func brokenFence(_ command: [String]) async throws {
    let (key, other, prefix) = (uniqueKey(), uniqueKey("other"), uniqueKey("prefix") + ":")
    try client(command[0], prefix + "fence", command[1])
    let locker = try await Locker { $0.keyPrefix = prefix }
    let code = command[0] == "LPUSH" ? "WRONGTYPE" : "ERR"
    await expectRefusal(code) { try await locker.acquire(key, options: Self.patient) }
    await expectRefusal(code) { try await locker.acquire([key, other], options: Self.patient) }
    await expectRefusal(code) { try await locker.acquireIfAvailable(key) }
    await eventually { try client("EXISTS", key, other) == .integer(0) }
    // A locker without fencing tokens is not affected.
    let unfenced = try await Locker {
      $0.keyPrefix = prefix
      $0.isFencingEnabled = false
    }
    try await unfenced.acquire(key).release()
    try client("DEL", prefix + "fence")
    try await locker.acquire(key).release()
  }

  @Test("If the fence counter breaks while locks are taken, no key is left")
  func fenceBreaksLater() async throws {
    let (key, prefix) = (uniqueKey(), uniqueKey("prefix") + ":")
    let locker = try await Locker { $0.keyPrefix = prefix }
    try await locker.acquire(key).release()
    try client("DEL", prefix + "fence")
    try client("LPUSH", prefix + "fence", "x")
    await expectRefusal("WRONGTYPE") { try await locker.acquire(key, options: Self.patient) }
    await eventually { try client("EXISTS", key) == .integer(0) }
  }

  // MARK: Databases

  @Test("A database that does not exist is refused when the locker connects")
  func badDatabase() async throws {
    await expectRefusal("ERR", .connect) {
      try await Locker {
        $0.database = 99
        $0.connectTimeout = .seconds(30)
      }
    }
  }
}
