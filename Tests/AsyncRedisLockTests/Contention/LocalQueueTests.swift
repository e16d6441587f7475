import AsyncRedisLock
import PrivateRedis
import Testing

/// Tests how a locker serves its own tasks.
@Suite("Tasks of one locker that want the same lock", .timeLimit(.minutes(5)), .redisServer())
struct LocalQueueTests {
  @Test(
    "A thousand tasks of one locker get the lock in their order, with few requests",
    arguments: zip([1000, 200], [nil, Duration.milliseconds(1)]))
  func thousand(count: Int, hold: Duration?) async throws {
    let (server, locker, key) = (RedisServer.current, try await Locker(on: .current), uniqueKey())
    let first = try await locker.acquire(key, options: .patient)
    let line = Line()
    await line.join(locker, for: key, count: count, hold: hold)
    await line.waitForArrivals(count)
    #expect(try server.queue(of: key).count <= 1, "they share one entry on the server")
    let calls = try server.calls("evalsha", "eval", "set")
    try await first.release()
    try await line.finish()
    // Handing on by the server takes a release, a poll and the scripts' commands; handing on locally takes none.
    let asked = try server.calls("evalsha", "eval", "set") - calls
    #expect(asked < count * 7 / 10, "\(asked) commands for \(count) passes")
    let turns = await line.turns
    #expect(turns.map(\.index) == Array(0..<count))
    #expect(turns.hasRisingFences)
    #expect(turns.first?.fence ?? 0 > first.fencingToken ?? .max)
    await expectNothingLeft(key)
  }

  @Test("Tasks of one locker take turns, so that no task gets ahead of the others")
  func fairness() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    let first = try await locker.acquire(key, options: .patient)
    let line = Line()
    await line.join(locker, for: key, count: 20, rounds: 25)
    await line.waitForArrivals(20)
    try await first.release()
    try await line.finish()
    let turns = await line.turns
    #expect(turns.count == 500)
    #expect(turns.hasRisingFences)
    var counts = [Int](repeating: 0, count: 20)
    var widest = 0
    for turn in turns {
      counts[turn.index] += 1
      widest = max(widest, (counts.max() ?? 0) - (counts.min() ?? 0))
    }
    // A task that hands on by the server returns to the line later than one that hands on within the process.
    #expect(widest <= 5, "one task has had that many more turns than another")
    await expectNothingLeft(key)
  }

  @Test(
    "Tasks of one locker hand the lock on only so often while another locker waits",
    arguments: [0, 1, 5])
  func bounded(limit: Int) async throws {
    let key = uniqueKey()
    let lockers = try await makeLockers(2) { $0.localHandoffLimit = limit }
    let first = try await lockers[0].acquire(key, options: .patient)
    let line = Line()
    await line.join(lockers[0], for: key, count: 30, name: "here")
    await line.waitForArrivals(30)
    let other = try await queueUp(for: key) {
      await line.join(lockers[1], for: key, count: 1, name: "there")
    }
    try await first.release()
    try await line.finish()
    try await other.value
    let turns = await line.turns
    let turn = try #require(turns.firstIndex { $0.name == "there" })
    #expect(turn <= limit, "the first holder was one of the locker's, too")
    #expect(turns.filter { $0.name == "here" }.map(\.index) == Array(0..<30))
    #expect(turns.hasRisingFences)
    await expectNothingLeft(key)
  }

  @Test("Tasks of one locker leave the lock to those of another in turns", arguments: [0, 3])
  func alternating(limit: Int) async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(3) { $0.localHandoffLimit = limit }
    let first = try await lockers[2].acquire(key, options: .patient)
    let line = Line()
    for (index, locker) in lockers.prefix(2).enumerated() {
      await line.join(
        locker, for: key, count: 20, name: "\(index)", hold: .milliseconds(20))
      await eventually { try server.queue(of: key).count == index + 1 }
    }
    try await first.release()
    try await line.finish()
    let turns = await line.turns
    // When one locker has no task left, the other keeps the lock.
    let contended = turns.runs.dropLast()
    #expect(contended.allSatisfy { $0.count <= limit + 1 })
    #expect(contended.count >= 40 / (limit + 1) / 2)
    for name in ["0", "1"] {
      #expect(turns.filter { $0.name == name }.map(\.index) == Array(0..<20))
    }
    #expect(turns.hasRisingFences)
    await expectNothingLeft(key)
  }

  @Test("If local handing on is turned off, tasks of one locker ask the server each time")
  func neverLocally() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let locker = try await makeLockers(1) { $0.localHandoffLimit = 0 }[0]
    let first = try await locker.acquire(key, options: .patient)
    let line = Line()
    await line.join(locker, for: key, count: 50)
    await line.waitForArrivals(50)
    let calls = try server.calls("evalsha", "eval")
    try await first.release()
    try await line.finish()
    #expect(try server.calls("evalsha", "eval") - calls >= 50)
    #expect(await line.turns.map(\.index) == Array(0..<50))
    #expect(await line.turns.hasRisingFences)
    await expectNothingLeft(key)
  }

  @Test(
    "Tasks of one locker keep their entry on the server when the first of them gives up",
    arguments: [true, false])
  func placeIsPassedOn(isCancelled: Bool) async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(3)
    let first = try await lockers[0].acquire(key, options: .patient)
    var hasty = LockOptions.patient
    hasty.timeout = isCancelled ? .seconds(20) : .seconds(1)
    let givesUp = try await queueUp(lockers[1], for: key, options: hasty)
    let other = try await queueUp(lockers[2], for: key)
    let stays = Task { try await lockers[1].acquire(key, options: .patient) }
    if isCancelled {
      // The task must be in the queue before the entry becomes free.
      await eventually { lockers[1].waiterCount(of: key) == 2 }
      givesUp.cancel()
    }
    let attempt = await Attempt { try await givesUp.value }
    #expect(attempt.value == nil)
    await eventually { try server.waitingLabels(of: key) == ["locker-1", "locker-2"] }
    try await first.release()
    let second = try await expectPromptly(stays)
    #expect(try server.waitingLabels(of: key) == ["locker-2"])
    try await second.release()
    try await expectPromptly(other).release()
    await expectNothingLeft(key)
  }

  @Test(
    "A hundred thousand tasks can wait for one lock, and can all be cancelled",
    .timeLimit(.minutes(5)))
  func hundredThousand() async throws {
    let count = 100_000
    let (locker, key) = (try await Locker { $0.maxWaiters = count }, uniqueKey())
    let first = try await locker.acquire(key, options: .patient)
    var options = LockOptions.patient
    options.timeout = nil
    let start = ContinuousClock.now
    let line = Line()
    await line.join(locker, for: key, count: count, options: options)
    await line.waitForArrivals(count, within: .seconds(40))
    await expectError(.tooManyWaiters) { try await locker.acquire(key, options: .patient) }
    await line.cancelAll()
    #expect(try await line.finish() == count)
    let duration = ContinuousClock.now - start
    #expect(duration < .seconds(25), "\(duration) in a build for debugging")
    #expect(first.isHeld)
    #expect(await line.turns.isEmpty)
    #expect(try await first.release() == .released)
    await expectNothingLeft(key)
  }
}
