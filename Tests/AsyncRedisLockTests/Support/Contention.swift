import AsyncRedisLock
import PrivateRedis
import Testing

extension LockOptions {
  /// Leaves 5 s between two polls, and 20 s before a poll for lack of news, so only a handoff explains a quick
  /// answer.
  static let patient = LockOptions(
    retry: .seconds(20), timeout: .seconds(20), ttl: .seconds(30), extend: .seconds(10))

  /// Leaves a third of the ttl between two polls, and 20 s before a poll for lack of news.
  static func polling(ttl: Duration, timeout: Duration = .seconds(20)) -> LockOptions {
    LockOptions(retry: .seconds(20), timeout: timeout, ttl: ttl, extend: ttl / 3)
  }
}

extension Duration {
  /// How long a handoff may take on a busy machine; far less than the time to the next poll.
  static let handoff = Duration.seconds(1)
}

/// Makes lockers for the server of the suite; each is a separate client.
func makeLockers(
  _ count: Int, _ configure: (inout LockerConfiguration) -> Void = { _ in }
) async throws -> [Locker] {
  var lockers: [Locker] = []
  for index in 0..<count {
    lockers.append(
      try await Locker {
        $0.label = "locker-\(index)"
        configure(&$0)
      })
  }
  return lockers
}

/// Starts a task, and returns when the queue of the key has one more waiter.
///
/// The body must wait for the lock with a locker that does not wait for it yet.
func queueUp<Value: Sendable>(
  for key: String, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: @escaping @Sendable () async throws -> Value
) async throws -> Task<Value, any Error> {
  let server = RedisServer.current
  let count = try server.queue(of: key).count
  let task = Task { try await body() }
  await eventually("one more waits for \(key)", sourceLocation: sourceLocation) {
    try server.queue(of: key).count == count + 1
  }
  return task
}

/// Starts to wait for keys, and returns when the locker is in the queue of the first.
func queueUp(
  _ locker: Locker, for keys: String..., options: LockOptions = .patient,
  sourceLocation: SourceLocation = #_sourceLocation
) async throws -> Task<Lock, any Error> {
  try await queueUp(for: keys[0], sourceLocation: sourceLocation) {
    try await locker.acquire(keys, options: options)
  }
}

/// Expects a wait to end with a lock soon; returns the lock.
func expectPromptly(
  _ task: Task<Lock, any Error>, within limit: Duration = .handoff,
  since start: ContinuousClock.Instant = .now,
  sourceLocation: SourceLocation = #_sourceLocation
) async throws -> Lock {
  let lock = try await task.value
  let duration = ContinuousClock.now - start
  #expect(duration < limit, sourceLocation: sourceLocation)
  #expect(lock.isHeld, sourceLocation: sourceLocation)
  return lock
}

extension RedisServer {
  /// The waiting tokens of a key without braces, in order.
  func queue(of key: String) throws -> [String] {
    try strings("ZRANGE", "redis-lock:queue:{\(key)}", "0", "-1")
  }

  /// The labels of the waiters for a key, in order.
  func waitingLabels(of key: String) throws -> [String] {
    try queue(of: key).map { String($0.split(separator: ":", omittingEmptySubsequences: false)[3]) }
  }

  /// The tokens that have an entry.
  func entries(of key: String) throws -> [String] {
    try strings("HKEYS", "redis-lock:entries:{\(key)}").filter { !$0.hasSuffix("@") }
  }

  /// The channels that have a subscriber.
  func inboxes() throws -> [String] { try strings("PUBSUB", "CHANNELS", "redis-lock:inbox:*") }

  /// The value of a key.
  func value(of key: String) throws -> String? { try RedisClient(self)("GET", key).string }

  /// How often the server has run these commands, including those of scripts.
  func calls(_ names: String...) throws -> Int {
    let lines = try RedisClient(self)("INFO", "commandstats").string?.split(separator: "\r\n") ?? []
    return lines.reduce(0) { sum, line in
      let isMeant = names.contains { line.hasPrefix("cmdstat_\($0):calls=") }
      let digits = line.drop { $0 != "=" }.dropFirst().prefix { $0.isNumber }
      return isMeant ? sum + (Int(digits) ?? 0) : sum
    }
  }

  /// How often the server has answered with an error of this code.
  func errors(_ code: String) throws -> Int {
    let lines = try RedisClient(self)("INFO", "errorstats").string?.split(separator: "\r\n") ?? []
    let start = "errorstat_\(code):count="
    return lines.lazy.compactMap { $0.hasPrefix(start) ? Int($0.dropFirst(start.count)) : nil }
      .first ?? 0
  }

  private func strings(_ command: String, _ arguments: String...) throws -> [String] {
    let answer = try RedisClient(self)(words: [command] + arguments)
    return answer.array?.compactMap(\.string) ?? []
  }
}

/// Waits until only the fence counter is left of the locks on the server.
func expectNothingLeft(
  _ keys: String..., within limit: Duration = .seconds(5),
  sourceLocation: SourceLocation = #_sourceLocation
) async {
  let client = RedisClient(.current)
  for key in keys {
    await eventually(within: limit, "nothing of \(key) is left", sourceLocation: sourceLocation) {
      try client(
        "EXISTS", key, "redis-lock:queue:{\(key)}", "redis-lock:entries:{\(key)}"
      ) == .integer(0)
    }
  }
}
