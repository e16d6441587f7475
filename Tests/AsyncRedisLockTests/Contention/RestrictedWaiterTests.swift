import AsyncRedisLock
import PrivateRedis
import Testing

/// If channels or the queue commands are forbidden, waiters must get by with polls.
@Suite("A user without the permissions to wait", .timeLimit(.minutes(2)), .redisServer())
struct RestrictedWaiterTests {
  private let admin = RedisClient(.current)

  /// Makes a user with all permissions except some, and a locker that logs in as that user.
  private func connect(
    _ rules: [String], label: String = "restricted"
  ) async throws -> Locker {
    let name = uniqueKey("user")
    try admin("ACL", "SETUSER", name, "on", ">pw", "+@all", "~*", "&*")
    for rule in rules { try admin("ACL", "SETUSER", name, rule) }
    return try await Locker {
      $0.username = name
      $0.password = "pw"
      $0.label = label
    }
  }

  /// Options with a poll each 200 ms, far less than the lock's remaining time.
  private let options = LockOptions(
    retry: .milliseconds(200), timeout: .seconds(10), ttl: .seconds(30), extend: .seconds(10))

  /// Starts to wait for a key, and returns when the server has been polled twice for it.
  ///
  /// A waiter that only polls may have nothing on the server.
  private func startAsking(_ locker: Locker, for key: String) async throws -> Task<Lock, any Error>
  {
    func asked() throws -> Int { try RedisServer.current.calls("set", "evalsha", "eval") }
    let before = try asked()
    let task = Task { [options] in try await locker.acquire(key, options: options) }
    await eventually("it asks") { try asked() >= before + 2 }
    return task
  }

  @Test("A refused subscription fails no call and loses no lock when connections are cut later")
  func refusedInbox() async throws {
    let (key, name) = (uniqueKey(), uniqueKey("user"))
    try admin("ACL", "SETUSER", name, "on", ">pw", "+@all", "~*", "resetchannels")
    let refusals = try RedisServer.current.errors("NOPERM")
    let locker = try await Locker {
      $0.username = name
      $0.password = "pw"
    }
    let holder = try await Locker(on: .current).acquire(key, options: .patient)
    let held = try await locker.acquire(uniqueKey(), options: LockOptions(ttl: .seconds(1)))
    let waiting = try await startAsking(locker, for: key)
    await eventually("the subscription is refused") {
      try RedisServer.current.errors("NOPERM") > refusals
    }
    for _ in 0..<3 {
      try admin("CLIENT", "KILL", "USER", name)
      try await locker.ping()
    }
    #expect(held.isHeld)
    try await holder.release()
    try await waiting.value.release()
    #expect(try await held.release() == .released)
  }

  @Test(
    "A user without channels gets the lock within its retry time",
    arguments: [
      ["resetchannels"], ["-subscribe"], ["-pubsub"], ["-subscribe", "-publish", "resetchannels"],
    ])
  func waiter(rules: [String]) async throws {
    let key = uniqueKey()
    let holder = try await Locker(on: .current)
    let locker = try await connect(rules)
    for _ in 0..<2 {
      let first = try await holder.acquire(key, options: .patient)
      let waiting = try await startAsking(locker, for: key)
      let start = ContinuousClock.now
      try await first.release()
      let second = try await expectPromptly(waiting, since: start)
      #expect(second.fencingToken ?? 0 > first.fencingToken ?? .max)
      #expect(try await second.release() == .released)
    }
    await expectNothingLeft(key)
  }

  @Test("A user without the last line of the README's rules gets the lock within its retry time")
  func readmeWithoutQueues() async throws {
    let (name, key) = (uniqueKey("user"), "locks:" + uniqueKey())
    // The last line begins with EXISTS.
    let rules = try LeastPrivilege.rules().prefix { $0 != "+exists" }
    #expect(rules.contains("+client|setname") && !rules.contains("+subscribe"))
    try admin(words: ["ACL", "SETUSER", name] + rules + ["~locks:*", ">pw"])
    let holder = try await Locker(on: .current)
    let locker = try await Locker {
      $0.username = name
      $0.password = "pw"
    }
    let first = try await holder.acquire(key, options: .patient)
    let waiting = try await startAsking(locker, for: key)
    let start = ContinuousClock.now
    try await first.release()
    #expect(try await expectPromptly(waiting, since: start).release() == .released)
    await expectNothingLeft(key)
  }

  @Test("A call of a user without channels can time out or be cancelled, and leaves nothing behind")
  func waiterGivesUp() async throws {
    let key = uniqueKey()
    let holder = try await Locker(on: .current)
    let locker = try await connect(["resetchannels"])
    let first = try await holder.acquire(key, options: .patient)
    var short = options
    short.timeout = .milliseconds(500)
    let hasty = short
    await expectError(.timeout) { try await locker.acquire(key, options: hasty) }
    let cancelled = try await startAsking(locker, for: key)
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    try await first.release()
    await expectNothingLeft(key)
  }

  @Test(
    "A user that may not publish frees the lock as well, and a waiter finds it by its polls")
  func releaser() async throws {
    let key = uniqueKey()
    let restricted = try await connect(["-publish", "resetchannels"])
    let locker = try await Locker(on: .current)
    let first = try await restricted.acquire(key, options: .patient)
    let waiting = try await queueUp(
      locker, for: key,
      options: LockOptions(
        retry: .milliseconds(200), timeout: .seconds(20), ttl: .milliseconds(1500),
        extend: .milliseconds(500)))
    #expect(try await first.release() == .released)
    #expect(try RedisServer.current.queue(of: key).count <= 1)
    // The waiter did not know that it would not be told, so a third of the ttl may go by.
    try await expectPromptly(waiting, within: .milliseconds(1500)).release()
    await expectNothingLeft(key)
  }

  @Test("A user without queues can take a free lock, and release it while another waits")
  func noQueueCommands() async throws {
    let key = uniqueKey()
    let restricted = try await connect(["-@sortedset", "-@hash", "-publish"])
    let locker = try await Locker(on: .current)
    let first = try await restricted.acquire(key, options: .patient)
    let waiting = try await queueUp(
      locker, for: key, options: .polling(ttl: .milliseconds(1500)))
    #expect(try await first.release() == .released)
    try await expectPromptly(waiting, within: .milliseconds(1500)).release()
    let both = try await restricted.acquire(key, key + "2", options: .patient)
    #expect(try await both.release() == .released)
    await expectNothingLeft(key, key + "2")
  }
}
