import PrivateRedis
import Testing

@testable import AsyncRedisLock

/// The refusal of one lock's queue must not cost the waiters of another lock.
@Suite("A user who may use some queues only", .timeLimit(.minutes(2)), .redisServer())
struct ForbiddenQueueTests {
  private let admin = RedisClient(.current)
  private let allowed = uniqueKey("allowed")
  private let forbidden = uniqueKey("forbidden")

  /// Makes a locker of a user with some rights, by default to all but the queue of one key.
  private func connect(_ rules: [String]? = nil) async throws -> Locker {
    let user = uniqueKey("user")
    let usual = ["~\(allowed)", "~\(forbidden)", "~redis-lock:*:{\(allowed)}"]
    try admin(
      words: ["ACL", "SETUSER", user, "on", ">pw", "+@all", "&*", "~redis-lock:fence"]
        + (rules ?? usual))
    return try await Locker {
      $0.username = user
      $0.password = "pw"
    }
  }

  private func access(of locker: Locker) throws -> QueueAccess {
    try #require(locker.coordinator.store as? RedisLockStore).node.queueAccess
  }

  /// Waiters that poll do so only after an hour.
  private let options = LockOptions(
    retry: .seconds(3600), timeout: nil, ttl: .seconds(60), extend: nil)

  @Test("A locker with a forbidden queue waits for its other keys in their queues, and says so")
  func otherKey() async throws {
    let (locker, other) = (try await connect(), try await Locker(on: .current))
    let held = try await other.acquire([allowed, forbidden], options: options)
    await expectError(.timeout) {
      try await locker.acquire(forbidden, options: LockOptions(timeout: .milliseconds(200)))
    }
    #expect(try !access(of: locker).isOpen(for: [forbidden]))
    let waiting = try await queueUp(locker, for: allowed, options: options)
    try await held.release()
    let lock = try await expectPromptly(waiting)
    let next = try await queueUp(other, for: allowed, options: options)
    try await lock.release()
    try await expectPromptly(next).release()
    // It has notified a waiter of the one key, and cannot notify those of the other.
    let first = try await locker.acquire(allowed, options: options)
    let second = try await locker.acquire(forbidden, options: options)
    #expect(first.token.hasPrefix("rl1n") && second.token.hasPrefix("rl1s"))
    for lock in [first, second] { #expect(try await lock.release() == .released) }
    await expectNothingLeft(allowed, forbidden)
  }

  @Test("A lock that was handed over is handed on though a refusal of the queues counts")
  func handedOver() async throws {
    let (locker, other) = (try await connect(), try await Locker(on: .current))
    // The tokens of a locker that has had no right to notify.
    try #require(locker.coordinator.store as? RedisLockStore).node.tokens.noteNotifying(false)
    let held = try await other.acquire(allowed, options: options)
    let first = try await queueUp(locker, for: allowed, options: options)
    let second = try await queueUp(Locker(on: .current), for: allowed, options: options)
    try await held.release()
    let lock = try await first.value
    #expect(lock.token.hasPrefix("rl1s"))
    #expect(try access(of: locker).refuse())
    try await lock.release()
    try await expectPromptly(second).release()
  }

  @Test("A place in a queue is given up though a refusal of the queues counts")
  func place() async throws {
    let (locker, other) = (try await connect(), try await Locker(on: .current))
    try #require(locker.coordinator.store as? RedisLockStore).node.tokens.noteNotifying(false)
    let held = try await other.acquire(allowed, options: options)
    let waiting = try await queueUp(locker, for: allowed, options: options)
    #expect(try access(of: locker).refuse())
    waiting.cancel()
    _ = await waiting.result
    await eventually(within: .handoff) { try RedisServer.current.queue(of: allowed).isEmpty }
    try await held.release()
  }

  @Test(
    "A forced release hands the lock on, and an inspection counts waiters, though a refusal counts")
  func force() async throws {
    let (locker, other) = (try await connect(), try await Locker(on: .current))
    let held = try await other.acquire(allowed, options: options)
    let waiting = try await queueUp(Locker(on: .current), for: allowed, options: options)
    #expect(try access(of: locker).refuse())
    #expect(try await locker.inspect(allowed)?.waiterCount == 1)
    #expect(try await locker.forceRelease(allowed) != nil)
    try await expectPromptly(waiting).release()
    _ = try await held.release()
  }

  @Test("A user without rights to queues releases locks on several keys", arguments: [true, false])
  func severalKeys(knowsNoKeys: Bool) async throws {
    let locker = try await connect(
      ["~\(allowed)", "~\(forbidden)"]
        + (knowsNoKeys ? [] : ["~redis-lock:*", "-exists", "-zrange"]))
    for _ in 0..<3 {
      let lock = try await locker.acquire([allowed, forbidden], options: options)
      try admin("CONFIG", "RESETSTAT")
      #expect(try await lock.release() == .released)
    }
    if knowsNoKeys { #expect(try RedisServer.current.calls("evalsha", "eval") == 1) }
  }

  @Test("Of locks that are released together, those that were lost are told, though a right lacks")
  func lostInGroup() async throws {
    let locker = try await connect(["~*", "-exists"])
    var locks: [Lock] = []
    for _ in 0..<20 { locks.append(try await locker.acquire(uniqueKey(), options: options)) }
    for lock in locks[..<10] { try admin("DEL", lock.keys[0]) }
    let releases = locks.map { lock in Task { try await lock.release() } }
    for (place, release) in releases.enumerated() {
      #expect(try await release.value == (place < 10 ? .deleted : .released))
    }
  }
}
