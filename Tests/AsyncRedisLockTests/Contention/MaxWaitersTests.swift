import AsyncRedisLock
import PrivateRedis
import Testing

@Suite("A limit for waiting tasks", .timeLimit(.minutes(2)), .redisServer())
struct MaxWaitersTests {
  @Test("A limit for waiters lets that many wait, and refuses the next at once", arguments: [1, 3])
  func refuses(limit: Int) async throws {
    let key = uniqueKey()
    let locker = try await Locker(on: .current) { $0.maxWaiters = limit }
    let first = try await locker.acquire(key, options: .patient)
    let line = Line()
    await line.join(locker, for: key, count: limit)
    await line.waitForArrivals(limit)
    let attempt = await Attempt { try await locker.acquire(key, options: .patient) }
    let error = try #require(attempt.error)
    #expect(error.code == .tooManyWaiters)
    #expect(error.keys == [key])
    #expect(error.phase == .acquire)
    #expect(error.message.contains("\(limit)"), "it names the limit")
    #expect(attempt.duration < .seconds(1))
    #expect(first.isHeld)
    try await first.release()
    #expect(try await line.finish() == 0)
    #expect(await line.turns.count == limit)
    await expectNothingLeft(key)
  }

  @Test("A limit for waiters has room again after a waiter's turn, cancellation or timeout")
  func room() async throws {
    let key = uniqueKey()
    let locker = try await Locker(on: .current) { $0.maxWaiters = 2 }
    func isFull() async throws -> Bool {
      // This request must not take the place of a task that has not begun to wait yet.
      guard locker.waiterCount(of: key) == 2 else { return false }
      var options = LockOptions.patient
      options.timeout = .milliseconds(1)
      let hasty = options
      return await Attempt { try await locker.acquire(key, options: hasty) }.error?.code
        == .tooManyWaiters
    }
    let first = try await locker.acquire(key, options: .patient)
    var short = LockOptions.patient
    short.timeout = .milliseconds(700)
    let hasty = short
    let timesOut = Task { try await locker.acquire(key, options: hasty) }
    let cancelled = Task { try await locker.acquire(key, options: .patient) }
    await eventually("two wait") { try await isFull() }
    cancelled.cancel()
    _ = await cancelled.result
    #expect(try await !isFull())
    let third = Task { try await locker.acquire(key, options: .patient) }
    await eventually("two wait again") { try await isFull() }
    await expectError(.timeout) { try await timesOut.value }
    let fourth = Task { try await locker.acquire(key, options: .patient) }
    await eventually("two wait again") { try await isFull() }
    try await first.release()
    let lock = try await expectPromptly(third)
    #expect(try await !isFull())
    try await lock.release()
    try await expectPromptly(fourth).release()
    await expectNothingLeft(key)
  }

  @Test(
    "A limit for waiters applies to each set of keys and each locker separately, and only to waiting calls"
  )
  func separate() async throws {
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let lockers = try await makeLockers(2) { $0.maxWaiters = 1 }
    let first = try await lockers[0].acquire(a, b, options: .patient)
    var tasks = [try await queueUp(lockers[0], for: a)]
    await expectError(.tooManyWaiters) { try await lockers[0].acquire(a, options: .patient) }
    tasks.append(try await queueUp(lockers[0], for: b))
    tasks.append(try await queueUp(lockers[1], for: a))
    tasks.append(try await queueUp(lockers[1], for: a, b))
    await expectError(.tooManyWaiters) { try await lockers[1].acquire(b, a, options: .patient) }
    #expect(try await lockers[0].acquireIfAvailable(a, options: .patient) == nil)
    try await first.release()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in tasks { group.addTask { try await task.value.release() } }
      try await group.waitForAll()
    }
    await expectNothingLeft(a, b)
  }

  @Test("Waiters have no limit by default")
  func unlimited() async throws {
    let key = uniqueKey()
    #expect(LockerConfiguration().maxWaiters == nil)
    #expect(LockerConfiguration().localHandoffLimit > 0)
    let locker = try await Locker(on: .current)
    let first = try await locker.acquire(key, options: .patient)
    let line = Line()
    await line.join(locker, for: key, count: 2000)
    await line.waitForArrivals(2000)
    #expect(first.isHeld)
    await line.cancelAll()
    #expect(try await line.finish() == 2000)
    try await first.release()
    await expectNothingLeft(key)
  }

  @Test("A URL can set the limit for waiters, and how often a lock is handed on within the locker")
  func url() throws {
    let configuration = try LockerConfiguration(
      url: "redis://localhost/?max_waiters=7&local_handoff_limit=0")
    #expect(configuration.maxWaiters == 7)
    #expect(configuration.localHandoffLimit == 0)
    #expect(try LockerConfiguration(url: "redis://localhost").maxWaiters == nil)
  }

  @Test(
    "A URL with an invalid limit for waiters is refused without asking the server",
    arguments: [
      "max_waiters=-1", "max_waiters=", "max_waiters=x", "max_waiters=1.5",
      "max_waiters=99999999999999999999", "local_handoff_limit=-1", "local_handoff_limit=",
      "local_handoff_limit=often", "max_waiters=1&max_waiters=2",
    ])
  func badURL(query: String) async throws {
    await expectRefusal { try await Locker(url: "unix:///nowhere/at/all?\(query)") }
  }

  @Test("A configuration with a negative limit for waiters is refused")
  func negative() async throws {
    await expectRefusal { try await Locker(url: "unix:///nowhere/at/all") { $0.maxWaiters = -1 } }
    await expectRefusal {
      try await Locker(url: "unix:///nowhere/at/all") { $0.localHandoffLimit = -1 }
    }
  }

  /// Expects an error that is not due to a missing server.
  private func expectRefusal(
    sourceLocation: SourceLocation = #_sourceLocation, _ call: () async throws -> Locker
  ) async {
    let attempt = await Attempt(call)
    #expect(attempt.error != nil, sourceLocation: sourceLocation)
    #expect(
      attempt.error?.code == .invalidURL || attempt.error?.code == .invalidOptions,
      "\(String(describing: attempt.error))", sourceLocation: sourceLocation)
  }
}
