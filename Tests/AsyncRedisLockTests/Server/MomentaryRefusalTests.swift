import AsyncRedisLock
import PrivateRedis
import Testing

/// An operator's mistake in a user's rights, which is mended soon, must not cost more than that time.
@Suite("Rights that are wrong for a moment", .timeLimit(.minutes(2)), .redisServer(), .serialized)
struct MomentaryRefusalTests {
  /// What is taken from the user, in turn: scripts at all, and a command of each release.
  private static let losses = [["-eval", "-evalsha"], ["-del"]]

  private let admin = RedisClient(.current)

  @Test("A release that was refused is repeated until the key is free", arguments: losses)
  func release(_ losses: [String]) async throws {
    let (user, locker) = try await connect()
    let keys = (0..<20).map { _ in uniqueKey() }
    var locks: [Lock] = []
    for key in keys { locks.append(try await locker.acquire(key, options: Self.long)) }
    try admin(words: ["ACL", "SETUSER", user] + losses)
    for lock in locks {
      let attempt = await Attempt { try await lock.release() }
      #expect(attempt.error?.code == .refused)
    }
    try allow(user, losses)
    await eventually { try admin(words: ["EXISTS"] + keys) == .integer(0) }
  }

  @Test("A locker that is closed repeats refused releases until its time is over")
  func close() async throws {
    let (user, locker) = try await connect { $0.operationTimeout = .seconds(20) }
    let keys = (0..<100).map { _ in uniqueKey() }
    var locks: [Lock] = []
    for key in keys { locks.append(try await locker.acquire(key, options: Self.long)) }
    try admin(words: ["ACL", "SETUSER", user] + Self.losses[0])
    let first = await Attempt { try await locks[0].release() }
    #expect(first.error?.code == .refused)
    let closing = Task { await locker.close() }
    await eventually { !locks[99].isHeld }
    try allow(user, Self.losses[0])
    await closing.value
    #expect(try admin(words: ["EXISTS"] + keys) == .integer(0))
  }

  @Test("A cancelled acquisition that the server grants afterwards is given back in the end")
  func cancelled() async throws {
    let (user, locker) = try await connect { $0.operationTimeout = .seconds(20) }
    let key = uniqueKey()
    try admin("CLIENT", "PAUSE", "60000", "WRITE")
    let acquisition = Task { try await locker.acquire(key, options: Self.long) }
    await eventually("it waits at the server") {
      try admin("INFO", "clients").string?.contains("blocked_clients:1") == true
    }
    acquisition.cancel()
    _ = await acquisition.result
    try admin("ACL", "SETUSER", user, "-del")
    try admin("CLIENT", "UNPAUSE")
    await eventually { try admin("EXISTS", key) == .integer(1) }
    try allow(user, ["-del"])
    await eventually { try admin("EXISTS", key) == .integer(0) }
  }

  @Test("A refused acquisition keeps no locker from closing")
  func acquisition() async throws {
    let (user, locker) = try await connect { $0.operationTimeout = .seconds(60) }
    try admin("ACL", "SETUSER", user, "resetkeys", "~redis-lock:*", "~allowed")
    let attempt = await Attempt { try await locker.acquire(uniqueKey()) }
    #expect(attempt.error?.code == .refused)
    // Once this is answered, so is what undoes the first.
    try await locker.acquire("allowed").release()
    let closing = await Attempt { await locker.close() }
    #expect(closing.duration < .seconds(10))
  }

  @Test(
    "A lock whose hold was refused is kept for the time that it was to be held", arguments: losses)
  func hold(_ losses: [String]) async throws {
    let (user, locker) = try await connect()
    let key = uniqueKey()
    let lock = try await locker.acquire(
      key, options: LockOptions(ttl: .seconds(20), minHold: .seconds(600)))
    try admin(words: ["ACL", "SETUSER", user] + losses + ["-pexpire"])
    let attempt = await Attempt { try await lock.release() }
    #expect(attempt.error?.code == .refused)
    try allow(user, losses + ["-pexpire"])
    await eventually { try admin("PTTL", key).integer ?? 0 > 500_000 }
  }

  @Test(
    "A locker whose release was refused goes on handing its locks to waiters", arguments: losses)
  func handOver(_ losses: [String]) async throws {
    let (user, locker) = try await connect()
    let (_, waiting) = try await connect()
    let key = uniqueKey()
    let held = try await locker.acquire(key, options: Self.long)
    // A waiter that polls does so only after an hour.
    let waiter = Task {
      try await waiting.acquire(key, options: LockOptions(retry: .seconds(3600), timeout: nil))
    }
    await eventually { try admin("ZCARD", "redis-lock:queue:{\(key)}") == .integer(1) }
    let other = try await locker.acquire(uniqueKey(), options: Self.long)
    try admin(words: ["ACL", "SETUSER", user] + losses)
    let attempt = await Attempt { try await other.release() }
    #expect(attempt.error?.code == .refused)
    try allow(user, losses)
    let released = ContinuousClock.now
    try await held.release()
    try await waiter.value.release()
    #expect(released.duration(to: .now) < .seconds(1))
  }

  @Test("A lock that is gone is not reported as released because its queue was refused")
  func goneWithoutQueue() async throws {
    for count in [1, 5] {
      let (user, locker) = try await connect()
      let keys = (0..<count).map { _ in uniqueKey() }
      try admin(
        words: ["ACL", "SETUSER", user, "resetkeys", "~redis-lock:fence"] + keys.map { "~\($0)" })
      var locks: [Lock] = []
      for key in keys { locks.append(try await locker.acquire(key, options: Self.long)) }
      try admin(words: ["DEL"] + keys)
      let releases = locks.map { lock in Task { try await lock.release() } }
      for release in releases { #expect(try await release.value == .deleted) }
    }
  }

  @Test("A lock is handed on though the queues of another lock have been refused")
  func otherQueue() async throws {
    let (user, locker) = try await connect()
    let (_, waiting) = try await connect()
    let (key, other) = (uniqueKey(), uniqueKey())
    let held = try await locker.acquire(key, options: Self.long)
    let refused = try await locker.acquire(other, options: Self.long)
    // A waiter that polls does so only after an hour.
    let waiter = Task {
      try await waiting.acquire(key, options: LockOptions(retry: .seconds(3600), timeout: nil))
    }
    await eventually { try admin("ZCARD", "redis-lock:queue:{\(key)}") == .integer(1) }
    try admin(
      words: ["ACL", "SETUSER", user, "resetkeys", "~\(key)", "~\(other)", "~redis-lock:fence"]
        + ["queue", "entries"].map { "~redis-lock:\($0):{\(key)}" })
    #expect(try await refused.release() == .released)
    let start = ContinuousClock.now
    #expect(try await held.release() == .released)
    try await waiter.value.release()
    #expect(start.duration(to: .now) < .seconds(1))
    #expect(try admin("EXISTS", other) == .integer(0))
  }

  @Test("A grant that nothing waits for any more is given back, however often that is refused")
  func strayGrant() async throws {
    let (user, locker) = try await connect { $0.operationTimeout = .milliseconds(100) }
    let (key, stray) = (uniqueKey(), uniqueKey())
    let holder = try await Locker(on: .current).acquire(key, options: Self.long)
    // Opens the inbox.
    let waiter = Task { try await locker.acquire(key, options: .patient) }
    await eventually { try admin("ZCARD", "redis-lock:queue:{\(key)}") == .integer(1) }
    let token = "rl1n:host:1:label:\(locker.id):99:0123456789abcdef"
    try admin("SET", stray, token, "PX", "600000")
    try admin("ACL", "SETUSER", user, "resetkeys")
    let start = ContinuousClock.now
    let before = try RedisServer.current.errors("NOPERM")
    let message = "99 1 \(token) \(stray.utf8.count):\(stray)"
    #expect(try admin("PUBLISH", "redis-lock:inbox:\(locker.id)", message) == .integer(1))
    await eventually("it is refused for several operation timeouts") {
      try RedisServer.current.errors("NOPERM") > before + 4
        && start.duration(to: .now) > .milliseconds(500)
    }
    #expect(try admin("EXISTS", stray) == .integer(1))
    try admin("ACL", "SETUSER", user, "~*")
    await eventually { try admin("EXISTS", stray) == .integer(0) }
    waiter.cancel()
    _ = await waiter.result
    try await holder.release()
  }

  // MARK: Helpers

  private static let long = LockOptions(ttl: .seconds(600))

  private func connect(
    _ configure: (inout LockerConfiguration) -> Void = { _ in }
  ) async throws -> (user: String, locker: Locker) {
    let user = uniqueKey("user")
    try admin("ACL", "SETUSER", user, "on", ">pw", "+@all", "~*", "&*")
    let locker = try await Locker {
      $0.username = user
      $0.password = "pw"
      configure(&$0)
    }
    return (user, locker)
  }

  private func allow(_ user: String, _ losses: [String]) throws {
    try admin(words: ["ACL", "SETUSER", user] + losses.map { $0.replacing("-", with: "+") })
  }
}
