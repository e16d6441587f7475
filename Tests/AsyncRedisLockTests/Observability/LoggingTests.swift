import FaultProxy
import InMemoryLogging
import Logging
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("Log messages", .timeLimit(.minutes(2)), .redisServer())
struct LoggingTests {
  private let client = RedisClient(.current)
  private let handler = InMemoryLogHandler()

  private func logger(_ level: Logger.Level = .debug) -> Logger {
    var logger = Logger(label: "test") { _ in handler }
    logger.logLevel = level
    return logger
  }

  private var warnings: [InMemoryLogHandler.Entry] {
    handler.entries.filter { $0.level >= .warning }
  }

  private func locker(
    at url: String = RedisServer.current.url,
    _ configure: (inout LockerConfiguration) -> Void = { _ in }
  ) async throws -> Locker {
    var configuration = try LockerConfiguration(url: url)
    configure(&configuration)
    return try await Locker(configuration: configuration, logger: logger())
  }

  private static let quick = LockOptions(
    timeout: .seconds(5), ttl: .seconds(1), extend: .milliseconds(200))

  @Test("Taking and releasing a lock is logged only at debug, with its keys")
  func quiet() async throws {
    let (locker, key) = (try await locker(), uniqueKey())
    let lock = try await locker.acquire(key)
    #expect(try await locker.acquireIfAvailable(key) == nil)
    try await lock.release()
    await expectError(.invalidOptions) {
      try await locker.acquire(key, options: LockOptions(ttl: .zero))
    }
    #expect(handler.entries.allSatisfy { $0.level == .debug })
    // Messages about the connection come from another thread.
    await eventually { handler.entries.count == 4 }
    #expect(
      handler.entries.map(\.message.description).sorted() == [
        "Acquired", "Connected", "Not acquired", "Released",
      ])
    let entry = try #require(handler.entries.first { $0.message == "Acquired" })
    #expect(entry.metadata["redis-lock.keys"] == .array([.string(key)]))
    #expect(entry.metadata["redis-lock.token"] == .string(lock.token))
    #expect(
      entry.metadata["redis-lock.fencing-token"] == .string(String(lock.fencingToken ?? 0)))
    #expect(entry.metadata["redis-lock.origin"] == "asked")
  }

  @Test("A lost lock is logged as one warning, with the logger of the call")
  func loss() async throws {
    let (locker, key) = (try await locker(), uniqueKey())
    let ownHandler = InMemoryLogHandler()
    var own = Logger(label: "call") { _ in ownHandler }
    own[metadataKey: "request"] = "7"
    let lock = try await locker.acquire(key, options: Self.quick, logger: own)
    try client("DEL", key)
    try await lock.waitUntilLost()
    _ = try await lock.release()
    await eventually { ownHandler.entries.count == 1 }
    let entry = try #require(ownHandler.entries.first)
    #expect(entry.level == .warning && entry.message.description.contains("lost"))
    #expect(entry.metadata["redis-lock.reason"] == "deleted")
    #expect(entry.metadata["redis-lock.keys"] == .array([.string(key)]))
    #expect(entry.metadata["request"] == "7")
    #expect(warnings.isEmpty)
  }

  @Test("Polling is logged as one warning, however many waiters poll")
  func polling() async throws {
    let name = uniqueKey("user")
    try client(words: [
      "ACL", "SETUSER", name, "on", ">sesame-street", "+@all", "~*", "resetchannels",
    ])
    let key = uniqueKey()
    let holder = try await Locker(on: .current).acquire(key, options: .patient)
    let locker = try await locker {
      $0.username = name
      $0.password = "sesame-street"
    }
    for _ in 0..<3 {
      await expectError(.timeout) {
        try await locker.acquire(key, options: LockOptions(timeout: .milliseconds(150)))
      }
    }
    #expect(warnings.count == 1)
    #expect(warnings.first?.message.description.contains("poll") == true)
    #expect("\(handler.entries)".contains("sesame-street") == false)
    try await holder.release()
  }

  @Test("A server that may drop locks is logged as one warning", .redisServer())
  func eviction() async throws {
    let client = RedisClient(.current)
    try client("CONFIG", "SET", "maxmemory", "1gb")
    try client("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    let locker = try await locker()
    let locks = try await [
      locker.acquire(uniqueKey(), options: Self.quick),
      locker.acquire(uniqueKey(), options: Self.quick),
    ]
    await eventually { warnings.count == 1 }
    #expect(warnings.first?.metadata["redis-lock.policy"] == "volatile-lru")
    for lock in locks { try await lock.release() }
    #expect(warnings.count == 1)
  }

  @Test("Late extensions are logged as one warning for each lock")
  func late() async throws {
    let proxy = try FaultProxy(to: .current)
    defer { proxy.stop() }
    let locker = try await locker(at: proxy.url)
    let lock = try await locker.acquire(uniqueKey(), options: Self.quick)
    proxy.setScript { message in
      message.direction == .replies && message.connection == 0
        ? .delay(.milliseconds(500)) : .forward
    }
    await eventually { warnings.count == 1 }
    #expect(warnings.first?.message.description.contains("late") == true)
    proxy.setScript(nil)
    #expect(lock.isHeld)
    try await lock.release()
  }

  @Test("A new connection is logged when it is made")
  func reconnection() async throws {
    let locker = try await locker()
    try client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    try await locker.acquire(uniqueKey()).release()
    func levels() -> [String: Logger.Level] {
      Dictionary(
        handler.entries.map { ($0.message.description, $0.level) }, uniquingKeysWith: { $1 })
    }
    // No caller waits for log messages.
    await eventually {
      levels().contains { $0.key.hasPrefix("Reconnected after ") && $0.value == .info }
    }
    #expect(levels()["The connection ended"] == .debug)
  }
}

@Suite("Log messages about locks that end badly", .timeLimit(.minutes(2)), .redisServer())
struct LossLoggingTests {
  private let client = RedisClient(.current)
  private let handler = InMemoryLogHandler()

  private func locker(label: String? = nil) async throws -> Locker {
    var logger = Logger(label: "test") { _ in handler }
    logger.logLevel = .debug
    var configuration = try LockerConfiguration(url: RedisServer.current.url)
    configuration.label = label
    return try await Locker(configuration: configuration, logger: logger)
  }

  private var warnings: [InMemoryLogHandler.Entry] {
    handler.entries.filter { $0.level >= .warning }
  }

  /// How often a message has been logged at a level.
  private func count(_ start: String, _ level: Logger.Level) -> Int {
    handler.entries.count { $0.level == level && $0.message.description.hasPrefix(start) }
  }

  private func dropped(_ locker: Locker, _ key: String) async throws -> Bool {
    if try await locker.acquireIfAvailable(key) as Lock? == nil { false } else { true }
  }

  @Test("A handle that is dropped while held is logged as one warning, with its key and age")
  func drop() async throws {
    let (locker, key) = (try await locker(label: "billing"), uniqueKey())
    #expect(try await dropped(locker, key))
    await eventually { warnings.count == 1 }
    let entry = try #require(warnings.first)
    #expect(entry.message.description.hasPrefix("The lock on \"\(key)\" was dropped after "))
    #expect(entry.metadata["redis-lock.keys"] == .array([.string(key)]))
    #expect(entry.metadata["redis-lock.held"] != nil)
    #expect(entry.metadata["redis-lock.server"] == "\(RedisServer.current.socketPath ?? "")/0")
    #expect(entry.metadata["redis-lock.locker"] == .string(locker.id))
    #expect(entry.metadata["redis-lock.label"] == "billing")
    await eventually { try !RedisServer.current.hasKey(key) }
  }

  @Test(
    "A handle that goes away after a release, a loss, a detach or a closing does not count as dropped"
  )
  func notDropped() async throws {
    let locker = try await locker()
    try await locker.acquire(uniqueKey()).release()
    try await locker.withLock(uniqueKey()) { _ in }
    _ = try await locker.acquire(uniqueKey()).detach()
    do {
      let lock = try await locker.acquire(
        uniqueKey(), options: LockOptions(ttl: .milliseconds(50), extend: nil))
      try await lock.waitUntilLost()
    }
    do {
      let lock = try await locker.acquire(uniqueKey())
      await locker.close()
      #expect(!lock.isHeld)
    }
    await eventually { count("A lock was lost", .warning) == 1 }
    #expect(warnings.count == 1)
  }

  @Test(
    "A loss that only the release finds is logged as a warning with its reason",
    arguments: [nil, "theirs"])
  func foundByRelease(value: String?) async throws {
    let (locker, key) = (try await locker(), uniqueKey())
    let lock = try await locker.acquire(key, options: .patient)
    _ = try value.map { try client("SET", key, $0) } ?? client("DEL", key)
    #expect(try await lock.release() == (value == nil ? .deleted : .takenByAnother))
    await eventually { warnings.count == 1 }
    let entry = try #require(warnings.first)
    #expect(entry.metadata["redis-lock.reason"] == (value == nil ? "deleted" : "takenByAnother"))
    #expect(
      entry.metadata["redis-lock.holder"] == (value == nil ? nil : "a client of another library"))
    #expect(!"\(entry)".contains("theirs"), "the token of another client")
  }

  @Test(
    "A loss that the end of withLock finds is logged as a warning, and the error has its reason")
  func foundByWithLock() async throws {
    let (locker, other, key) = (try await locker(), try await Locker(on: .current), uniqueKey())
    let next = Shared<Lock?>(nil)
    let attempt = await Attempt {
      try await locker.withLock(key, options: .patient) { _ in
        try await other.forceRelease(key)
        // In a separate task, which holds no lock.
        next.value = try await Task { try await other.acquire(key) }.value
      }
    }
    #expect(attempt.error?.code == .lost && attempt.error?.lossReason == .takenByAnother)
    #expect(attempt.error?.holder?.lockerID == other.id)
    #expect(attempt.error?.isRetryable == true)
    await eventually { warnings.count == 1 }
    #expect(warnings.first?.message.description.contains("has it") == true)
    try await next.value?.release()
  }

  @Test(
    "Of many losses, one is a warning; the others are logged at debug until a minute has passed")
  func many() async throws {
    let locker = try await locker()
    let options = LockOptions(ttl: .seconds(1), extend: .milliseconds(100))
    var locks: [Lock] = []
    for index in 0..<12 {
      locks.append(try await locker.acquire(uniqueKey("many\(index)"), options: options))
    }
    try client("FLUSHALL")
    for lock in locks { try await lock.waitUntilLost() }
    await eventually { count("A lock was lost", .debug) == 11 }
    #expect(count("A lock was lost", .warning) == 1)
    await locker.close()
    await eventually { count("11 more locks were lost", .warning) == 1 }
    #expect(warnings.last?.metadata["redis-lock.count"] == "11")
  }
}

@Suite("The lateness of an extension", .timeLimit(.minutes(2)))
struct LatenessTests {
  @Test("The lateness of an extension is counted from when it was planned")
  func lateness() throws {
    let start = Instant.now
    var state = LeaseState(ttl: .seconds(10), extend: .seconds(2), sentAt: start)
    state.planExtensions(roundTrip: .zero, share: 0)
    let early = try #require(state.lateness(at: start + .seconds(1), roundTrip: .zero))
    #expect(early.delay == .zero && !early.isSerious)
    let late = try #require(state.lateness(at: start + .seconds(5), roundTrip: .zero))
    // The validity is the ttl without the allowance of 1 % and 2 ms.
    #expect(late == Lateness(delay: .seconds(3), slack: .milliseconds(7898)))
    #expect(!late.isSerious)
    let tooLate = try #require(state.lateness(at: start + .seconds(6), roundTrip: .zero))
    #expect(tooLate.isSerious)
  }

  @Test("A lease without extensions is never late")
  func none() {
    var state = LeaseState(ttl: .seconds(10), extend: nil, sentAt: .now)
    state.planExtensions(roundTrip: .zero, share: 0)
    #expect(state.lateness(at: .now, roundTrip: .zero) == nil)
  }
}

@Suite("The eviction policy of a server", .timeLimit(.minutes(2)))
struct MemoryPolicyTests {
  @Test(
    "The eviction policy is read from the server's answer",
    arguments: [
      ("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", false),
      ("maxmemory:100\r\nmaxmemory_human:100B\r\nmaxmemory_policy:noeviction\r\n", false),
      ("# Memory\r\nmaxmemory:100\r\nmaxmemory_policy:volatile-ttl\r\n", true),
    ])
  func read(_ text: String, mayDropLocks: Bool) throws {
    #expect(try #require(MemoryPolicy(text)).mayDropLocks == mayDropLocks)
  }

  @Test(
    "No eviction policy is read from any other answer",
    arguments: ["", "maxmemory:x\nmaxmemory_policy:a", "a:b"])
  func nonsense(_ text: String) { #expect(MemoryPolicy(text) == nil) }
}
