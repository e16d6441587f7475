import AsyncRedisLock
import PrivateRedis
import Testing

/// Each test has a server of its own, to look at all its keys afterwards.
@Suite("Cancelling a task", .timeLimit(.minutes(5)))
struct CancellationTests {
  /// Longer than the test: a key that is gone was deleted and did not expire.
  static let long = LockOptions(timeout: .seconds(30), ttl: .seconds(120))

  /// Waits until the fence counter is the only key on the server.
  func expectNoKeys(sourceLocation: SourceLocation = #_sourceLocation) async {
    let client = RedisClient(.current)
    await eventually("no key is left", sourceLocation: sourceLocation) {
      try client("KEYS", "*").array?.allSatisfy { $0.string == "redis-lock:fence" } == true
    }
  }

  @Test("An acquisition that is cancelled before it begins is not sent", .redisServer())
  func before() async throws {
    let locker = try await Locker(on: .current)
    let client = RedisClient(.current)
    _ = try client("CONFIG", "RESETSTAT")
    let task = Task {
      unsafe withUnsafeCurrentTask { task in unsafe task?.cancel() }
      return try await locker.acquire("key")
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(try client("INFO", "commandstats").string?.contains("cmdstat_set:") == false)
  }

  @Test(
    "An acquisition that is cancelled at any instant leaves no key, a thousand times",
    .redisServer())
  func inFlight() async throws {
    let locker = try await Locker(on: .current)
    let pairs = Shared(0)
    let bystander = Task {
      while !Task.isCancelled {
        let lock = try await locker.acquire("bystander", options: Self.long)
        try await lock.release()
        pairs.change { $0 += 1 }
      }
    }
    var (cancelled, latest) = (0, 400)
    for round in 0..<1000 {
      let task = Task { try await locker.acquire("key-\(round)", options: Self.long) }
      try await Task.sleep(for: .microseconds(Int.random(in: 0...latest)))
      task.cancel()
      // On any machine, both outcomes occur: the next cancellation comes earlier after a success, else later.
      do {
        _ = try await task.value
        latest /= 2
      } catch is CancellationError {
        cancelled += 1
        latest = min(latest + 20, 400)
      }
    }
    #expect(cancelled > 50, "the test must hit acquisitions that are in flight")
    await eventually(within: .seconds(20), "other calls on the connection continue") {
      pairs.value > 100
    }
    bystander.cancel()
    _ = await bystander.result
    await expectNoKeys()
  }

  @Test("Hundreds of waits end at once when they are cancelled, and leave no key", .redisServer())
  func waiting() async throws {
    let locker = try await Locker(on: .current)
    let holder = try await locker.acquire("key", options: Self.long)
    let tasks = (0..<500).map { _ in
      Task { try await locker.acquire("key", options: LockOptions(timeout: nil)) }
    }
    await eventually { locker.waiterCount(of: "key") == tasks.count }
    let start = ContinuousClock.now
    for task in tasks { task.cancel() }
    for task in tasks {
      await #expect(throws: CancellationError.self) { try await task.value }
    }
    #expect(ContinuousClock.now - start < .seconds(1))
    #expect(holder.isHeld)
    try await holder.release()
    await expectNoKeys()
  }

  @Test(
    "A contended withLock that is cancelled at any instant leaves no key and blocks no other call",
    .redisServer())
  func anyInstant() async throws {
    let locker = try await Locker(on: .current)
    let options = LockOptions(
      retry: .milliseconds(2), timeout: .seconds(30), ttl: .seconds(120), extend: .milliseconds(5))
    for _ in 0..<50 {
      let tasks = (0..<20).map { index in
        Task {
          try await locker.withLock("key-\(index % 3)", options: options) { _ in
            try await Task.sleep(for: .milliseconds(1))
          }
        }
      }
      for task in tasks {
        try await Task.sleep(for: .microseconds(Int.random(in: 0...300)))
        task.cancel()
      }
      for task in tasks {
        do { try await task.value } catch is CancellationError {}
      }
    }
    await expectNoKeys()
  }

  @Test("A release that is cancelled at any instant still frees the lock", .redisServer())
  func releasing() async throws {
    let locker = try await Locker(on: .current)
    for round in 0..<300 {
      let lock = try await locker.acquire("key-\(round)", options: Self.long)
      let task = Task { try await lock.release() }
      try await Task.sleep(for: .microseconds(Int.random(in: 0...100)))
      task.cancel()
      #expect(try await task.value == .released)
    }
    await expectNoKeys()
  }

  @Test(
    "A wait for a silent server ends at once when it is cancelled", .redisServer())
  func hangingServer() async throws {
    let server = RedisServer.current
    let locker = try await Locker(on: server)
    server.pause()
    let task = Task { try await locker.acquire("key", options: LockOptions(timeout: nil)) }
    await eventually { locker.waiterCount(of: "key") == 1 }
    let start = ContinuousClock.now
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(ContinuousClock.now - start < .milliseconds(500))
    server.resume()
    await expectNoKeys()
  }

  @Test("A short deadline does not disturb other calls on the connection", .redisServer())
  func shortDeadlines() async throws {
    let locker = try await Locker(on: .current)
    let client = RedisClient(.current)
    // A key whose undo is under way makes its locker wait, so that it connects its inbox.
    let other = try await Locker(on: .current)
    let held = try await other.acquire("held", options: .patient)
    let waiting = Task { try await locker.acquire("held", options: .patient).release() }
    await eventually { try RedisServer.current.queue(of: "held").count == 1 }
    try await held.release()
    _ = try await waiting.value
    let connections = try client("INFO", "stats").string
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<20 {
        group.addTask {
          for round in 0..<50 {
            let isHasty = (index + round) % 2 == 0
            let options = LockOptions(
              timeout: isHasty ? .milliseconds(1) : .seconds(30), ttl: .seconds(120))
            do {
              try await locker.acquire("key-\(index)", options: options).release()
            } catch let error as LockError where isHasty {
              #expect(error.code == .unreachable || error.code == .timeout)
            }
          }
        }
      }
      try await group.waitForAll()
    }
    func received(_ info: String?) -> Substring? {
      info?.split(separator: "\r\n").first { $0.hasPrefix("total_connections_received") }
    }
    #expect(try received(client("INFO", "stats").string) == received(connections))
    await expectNoKeys()
  }
}
