import AsyncRedisLock
import FaultProxy
import Foundation
import PrivateRedis
import Testing

/// Tests which permissions a user of the server needs for the library.
@Suite("A restricted user", .timeLimit(.minutes(2)), .redisServer(), .serialized)
struct PermissionTests {
  /// The commands that the library always needs, except for the connection's name and databases other than 0.
  private static let commands = [
    "set", "get", "getrange", "del", "pexpire", "pttl", "incr", "incrby", "time", "eval", "evalsha",
  ]
  /// The commands that it needs without fencing tokens.
  private static let unfencedCommands = [
    "set", "get", "getrange", "del", "pexpire", "pttl", "eval", "evalsha",
  ]

  /// The commands for waiting in the server's queue and for handing on.
  private static let queueing = [
    "exists", "zadd", "zrange", "zscore", "zrem", "hget", "hset", "hdel", "incr", "incrby", "time",
    "publish", "subscribe", "pubsub|numsub", "ping",
  ]

  private let admin = RedisClient(.current)

  // MARK: Enough permissions

  @Test("A user with only the needed permissions can do everything", arguments: [true, false])
  func enough(isFencingEnabled: Bool) async throws {
    let patterns = isFencingEnabled ? ["~locks:*", "~redis-lock:*"] : ["~locks:*"]
    let user = try makeUser(
      isFencingEnabled ? Self.commands : Self.unfencedCommands, patterns: patterns)
    try await exercise(connect(as: user) { $0.isFencingEnabled = isFencingEnabled })
  }

  @Test("A user with the permissions of the README can do everything, and nothing else")
  func readme() async throws {
    let rules = try LeastPrivilege.rules().map { $0 == "~invoices:*" ? "~locks:*" : $0 }
    #expect(rules.contains("~locks:*"), "the README's locks are under invoices:")
    let name = uniqueKey("user")
    try admin(words: ["ACL", "SETUSER", name] + rules + [">pw"])
    try await exercise(connect(as: name))
    let allowed = Set(rules.compactMap { $0.hasPrefix("+") ? String($0.dropFirst()) : nil })
    let known = Set(Self.commands + Self.queueing + ["select", "client|setname"])
    #expect(allowed == known)
  }

  @Test(
    "All tests log in as the restricted user if the environment requests it",
    .enabled("The tests run as a user with all permissions.") { LeastPrivilege.isWanted })
  func isUsed() async throws {
    _ = try await Locker { $0.clientName = "checked" }
    let clients = try admin("CLIENT", "LIST").string?.split(separator: "\n") ?? []
    let client = try #require(clients.first { $0.contains(" name=checked ") })
    #expect(client.contains(" user=least "))
  }

  @Test("Inspecting a forbidden key does not affect a user's other locks")
  func lookAtForeignKey() async throws {
    let user = try makeUser(
      Self.commands + Self.queueing, patterns: ["~locks:*", "~redis-lock:*"],
      channels: ["&redis-lock:*"])
    let (first, second) = (try await connect(as: user), try await connect(as: user))
    let key = "locks:" + uniqueKey()
    let lock = try await first.acquire(key)
    let refused = await Attempt { try await first.inspect("payroll") }
    #expect(refused.error?.code == .refused)
    let next = Task { try await second.acquire(key, options: .patient) }
    await eventually { try admin("EXISTS", "redis-lock:queue:{\(key)}") == .integer(1) }
    let start = ContinuousClock.now
    try await lock.release()
    let taken = try await next.value
    // Handed on, rather than found by a poll after seconds.
    #expect(start.duration(to: .now) < .seconds(1))
    #expect(taken.token.hasPrefix("rl1n"))
    try await taken.release()
  }

  @Test("A user without rights to the queues goes on telling waiters to poll after a new login")
  func silentAfterLogin() async throws {
    let user = try makeUser(
      Self.commands + Self.queueing, patterns: ["~locks:*", "~redis-lock:fence"],
      channels: ["&redis-lock:*"])
    let locker = try await connect(as: user)
    let key = "locks:" + uniqueKey()
    // Its first release shows that no waiter can be notified.
    try await locker.acquire(key).release()
    try admin("CLIENT", "KILL", "USER", user)
    // The first token is made before the login, the second one behind it.
    let (first, second) = (
      try await locker.acquire(key), try await locker.acquire("locks:" + uniqueKey())
    )
    for lock in [first, second] {
      #expect(lock.token.hasPrefix("rl1s:"))
      try await lock.release()
    }
  }

  @Test("A user that may queue does not poll", arguments: [true, false])
  func queue(isFencingEnabled: Bool) async throws {
    let user = try makeUser(
      (isFencingEnabled ? Self.commands : Self.unfencedCommands) + Self.queueing,
      channels: ["&redis-lock:*"])
    try await exercise(connect(as: user) { $0.isFencingEnabled = isFencingEnabled })
    let (first, second) = (
      try await connect(as: user) { $0.isFencingEnabled = isFencingEnabled },
      try await connect(as: user) { $0.isFencingEnabled = isFencingEnabled }
    )
    let key = "locks:" + uniqueKey("queue")
    // A waiter that polls does so only after an hour.
    let options = LockOptions(retry: .seconds(3600), timeout: .seconds(30))
    let held = try await first.acquire(key, options: options)
    let waiter = Task { try await second.acquire(key, options: options) }
    await eventually { try admin("ZCARD", "redis-lock:queue:{\(key)}") == .integer(1) }
    let released = ContinuousClock.now
    try await held.release()
    let lock = try await waiter.value
    #expect(released.duration(to: .now) < .seconds(1))
    #expect(lock.token.hasPrefix("rl1n:"))
    try await lock.release()
  }

  @Test("A user with one permission less cannot do everything", arguments: commands)
  func tooFew(_ missing: String) async throws {
    let user = try makeUser(Self.commands.filter { $0 != missing })
    let attempt = await Attempt { try await exercise(connect(as: user)) }
    #expect(attempt.value == nil)
  }

  @Test(
    "A user without fencing tokens needs all the remaining permissions", arguments: unfencedCommands
  )
  func tooFewUnfenced(_ missing: String) async throws {
    let user = try makeUser(Self.unfencedCommands.filter { $0 != missing }, patterns: ["~locks:*"])
    let attempt = await Attempt {
      try await exercise(connect(as: user) { $0.isFencingEnabled = false })
    }
    #expect(attempt.value == nil)
  }

  @Test("A user can use another prefix for the keys of the library")
  func prefix() async throws {
    let user = try makeUser(Self.commands, patterns: ["~locks:*", "~our-locks:*"])
    try await exercise(connect(as: user) { $0.keyPrefix = "our-locks:" })
  }

  @Test("A user names the connection only if that is allowed", arguments: [true, false])
  func clientName(isAllowed: Bool) async throws {
    let user = try makeUser(Self.commands + (isAllowed ? ["client|setname"] : []))
    let locker = try await connect(as: user) { $0.clientName = "restricted" }
    try await locker.acquire("locks:" + uniqueKey("name")).release()
    let list = try admin("CLIENT", "LIST").string
    #expect(list?.contains(" name=restricted ") == isAllowed)
  }

  @Test("A user needs SELECT for another database than the first", arguments: [true, false])
  func database(isAllowed: Bool) async throws {
    let user = try makeUser(Self.commands + (isAllowed ? ["select"] : []))
    let attempt = await Attempt { try await connect(as: user) { $0.database = 2 } }
    if isAllowed {
      try await attempt.result.get().acquire("locks:" + uniqueKey("database")).release()
    } else {
      #expect(attempt.error?.code == .refused)
      #expect(attempt.error?.serverCode == "NOPERM")
      #expect(attempt.error?.phase == .connect)
    }
  }

  // MARK: Too few permissions

  @Test(
    "If a user lacks a needed permission, the call fails at once and leaves no key",
    // A script takes several keys, without INCR and GETRANGE.
    arguments: [("set", 1...2), ("incr", 1...1), ("incrby", 2...2), ("getrange", 1...1)])
  func refused(_ missing: String, keyCounts: ClosedRange<Int>) async throws {
    let user = try makeUser(Self.commands.filter { $0 != missing })
    await expectRefusal(as: user, "locks:" + uniqueKey("refused"), keyCounts)
  }

  @Test("If a user's rules do not allow a key, locking it fails at once")
  func foreignKey() async throws {
    let user = try makeUser(Self.commands)
    let key = uniqueKey("foreign")
    await expectRefusal(as: user, key)
    let locker = try await connect(as: user)
    for call in [{ _ = try await locker.inspect(key) }, { try await locker.forceRelease(key) }] {
      let attempt = await Attempt(call)
      #expect(attempt.error?.serverCode == "NOPERM")
    }
  }

  @Test("If a user may not use the fence counter, the call fails at once and leaves no key")
  func foreignPrefix() async throws {
    let user = try makeUser(Self.commands, patterns: ["~locks:*"])
    await expectRefusal(as: user, "locks:" + uniqueKey("fence"))
  }

  private func expectRefusal(
    as user: String, _ key: String, _ keyCounts: ClosedRange<Int> = 1...2
  ) async {
    let options = LockOptions(timeout: .seconds(30), ttl: .seconds(60))
    for keys in keyCounts.map({ Array([key, key + "2"].prefix($0)) }) {
      let attempt = await Attempt { try await connect(as: user).acquire(keys, options: options) }
      #expect(attempt.error?.code == .refused)
      #expect(attempt.error?.serverCode == "NOPERM")
      #expect(attempt.error?.isRetryable == false)
      #expect(attempt.duration < .inTime)
      await eventually { try admin("EXISTS", key, key + "2") == .integer(0) }
    }
  }

  @Test("A holder that loses a permission loses its lock when the lock's validity ends")
  func takenAway() async throws {
    let user = try makeUser(Self.commands)
    let options = LockOptions(ttl: .milliseconds(500), extend: .milliseconds(100))
    let lock = try await connect(as: user).acquire("locks:" + uniqueKey("taken"), options: options)
    try admin("ACL", "SETUSER", user, "-evalsha")
    let end = ContinuousClock.now + lock.remaining
    try await lock.waitUntilLost()
    #expect(ContinuousClock.now >= end - .milliseconds(1))
    #expect(lock.lossReason == .expired)
  }

  @Test("A holder that may no longer use one key keeps its locks on the others")
  func oneKeyTakenAway() async throws {
    let user = try makeUser(Self.commands, patterns: ["~locks:*", "~redis-lock:*", "~other:*"])
    let locker = try await connect(as: user)
    let options = LockOptions(ttl: .seconds(1), extend: .milliseconds(200))
    // More than one request extends, and the key in question is in the middle of one.
    var locks: [Lock] = []
    for index in 0..<150 {
      let prefix = index == 70 ? "other:" : "locks:"
      locks.append(try await locker.acquire(prefix + uniqueKey(), options: options))
    }
    try admin(
      words: ["ACL", "SETUSER", user, "resetkeys", "~locks:*", "~redis-lock:*"])
    try await locks[70].waitUntilLost()
    let end = ContinuousClock.now + .seconds(1)
    await eventually("another ttl has passed") { ContinuousClock.now > end }
    #expect(locks.count { !$0.isHeld } == 1)
    for (index, lock) in locks.enumerated() where index != 70 {
      #expect(try await lock.release() == .released)
    }
  }

  @Test(
    "A call on a forbidden key does not keep the locker from waiting in the queue for others",
    arguments: [[], ["%R~other:*"]])
  func forbiddenKey(more patterns: [String]) async throws {
    let user = try makeUser(
      Self.commands + Self.queueing, patterns: ["~locks:*", "~redis-lock:*"] + patterns,
      channels: ["allchannels"])
    let locker = try await connect(as: user) { $0.label = "restricted" }
    let key = "locks:" + uniqueKey()
    let allowed = try await locker.acquire("locks:" + uniqueKey())
    await expectError(.refused) { try await locker.acquire("other:" + uniqueKey()) }
    let holder = try await Locker(on: .current).acquire(key, options: .patient)
    let waiting = Task { try await locker.acquire(key, options: .patient) }
    await eventually("it waits in the queue") {
      try RedisServer.current.entries(of: key).count == 1
    }
    try await holder.release()
    try await waiting.value.release()
    #expect(try await allowed.release() == .released)
    // Also if the rights are taken away while a lock is held, or awaited.
    let lost = try await locker.acquire("locks:" + uniqueKey("lost"))
    try admin(words: ["ACL", "SETUSER", user, "resetkeys", "~\(key)", "~redis-lock:*"])
    await expectError(.refused) { try await lost.release() }
    let second = try await Locker(on: .current).acquire(key, options: .patient)
    let next = Task { try await locker.acquire(key, options: .patient) }
    await eventually("it waits in the queue") {
      try RedisServer.current.entries(of: key).count == 1
    }
    try await second.release()
    try await next.value.release()
  }

  @Test(
    "If an examination meets a passing error, nothing is concluded about the queues",
    arguments: ["BUSY", "LOADING", "READONLY"])
  func examinationInTrouble(code: String) async throws {
    let user = try makeUser(Self.commands + Self.queueing, channels: ["allchannels"])
    let proxy = try FaultProxy(to: .current)
    defer { proxy.stop() }
    let examinations = Shared(0)
    proxy.setScript { message in
      guard message.direction == .replies, Self.isExamination(message.command) else {
        return .forward
      }
      examinations.change { $0 += 1 }
      return .replace(Array("-\(code) in trouble\r\n".utf8))
    }
    let locker = try await Locker(url: proxy.url) {
      $0.username = user
      $0.password = "pw"
    }
    await expectError(.refused) { try await locker.acquire("other:" + uniqueKey()) }
    await eventually("the refusal is examined") { examinations.value > 0 }
    let key = "locks:" + uniqueKey()
    let holder = try await Locker(on: .current).acquire(key, options: .patient)
    let waiting = Task { try await locker.acquire(key, options: .patient) }
    await eventually("it waits in the queue") {
      try RedisServer.current.entries(of: key).count == 1
    }
    try await holder.release()
    try await waiting.value.release()
  }

  @Test("A release whose refusal cannot be examined in time goes on in the background")
  func unansweredExamination() async throws {
    let user = try makeUser(Self.unfencedCommands, patterns: ["~locks:*"])
    let proxy = try FaultProxy(to: .current)
    defer { proxy.stop() }
    let locker = try await Locker(url: proxy.url) {
      $0.username = user
      $0.password = "pw"
      $0.isFencingEnabled = false
      $0.operationTimeout = .milliseconds(300)
    }
    let key = "locks:" + uniqueKey()
    let lock = try await locker.acquire(key, options: LockOptions(ttl: .seconds(60)))
    proxy.setScript { message in
      message.direction == .replies && Self.isExamination(message.command) ? .swallow : .forward
    }
    await expectError(.refused) { try await lock.release() }
    #expect(try admin("EXISTS", key) == .integer(1))
    proxy.setScript { _ in .forward }
    await eventually("it is given back") { try admin("EXISTS", key) == .integer(0) }
  }

  // MARK: Helpers

  private static func isExamination(_ command: FakeCommand?) -> Bool {
    guard let words = command?.words, words.count > 1 else { return false }
    return [Script.keep.digest, Script.keep.source].contains(words[1])
  }

  private func makeUser(
    _ commands: [String], patterns: [String] = ["~locks:*", "~redis-lock:*"],
    channels: [String] = []
  ) throws -> String {
    let name = uniqueKey("user")
    try admin("ACL", "SETUSER", name, "on", ">pw", "-@all", "resetkeys", "resetchannels")
    for rule in patterns + channels + commands.map({ "+\($0)" }) {
      try admin("ACL", "SETUSER", name, rule)
    }
    return name
  }

  private func connect(
    as user: String, _ configure: (inout LockerConfiguration) -> Void = { _ in }
  ) async throws -> Locker {
    try await Locker {
      $0.username = user
      $0.password = "pw"
      configure(&$0)
    }
  }

  /// The action that failed.
  private struct Failure: Error {
    let step: String
  }

  /// Uses everything the library offers, on a server without any script; throws if anything fails.
  private func exercise(_ locker: Locker) async throws {
    func check(_ step: String, _ isRight: Bool) throws {
      if !isRight { throw Failure(step: step) }
    }
    try admin("SCRIPT", "FLUSH")
    let keys = (0..<3).map { _ in "locks:" + uniqueKey("exercise") }
    let options = LockOptions(
      retry: .milliseconds(10), timeout: .milliseconds(100), ttl: .milliseconds(600),
      extend: .milliseconds(100))
    let lock = try await locker.acquire(keys[0], options: options)
    let waiter = await Attempt { _ = try await locker.acquire(keys[0], options: options) }
    try check("waiting", waiter.error?.code == .timeout)
    let firstEnd = ContinuousClock.now + lock.remaining
    while lock.isHeld, ContinuousClock.now + lock.remaining <= firstEnd {
      try await Task.sleep(for: .milliseconds(5))
    }
    try await lock.extend(by: .seconds(10))
    let status = try await locker.inspect(keys[0])
    try check("inspecting", status?.holder.value == lock.token)
    try check("releasing", try await lock.release() == .released)
    let both = try await locker.acquire(keys, options: options)
    try check("force", try await locker.forceRelease(keys[1])?.value == both.token)
    try check("releasing both", try await both.release() == .deleted)
    // The counter is lost, and must be raised.
    try admin("DEL", "redis-lock:fence", "our-locks:fence")
    try await locker.acquire(keys[2], options: options).release()
  }
}
