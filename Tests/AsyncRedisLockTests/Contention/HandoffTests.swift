import AsyncRedisLock
import PrivateRedis
import Testing

/// Hands off between lockers, each with its own connection to the server, whose polls are 5 s apart.
@Suite("A lock that is released while others wait", .timeLimit(.minutes(2)), .redisServer())
struct HandoffTests {
  /// A holder of the lock, and its fencing token.
  private struct Holding: Sendable {
    let index: Int
    let fence: UInt64
  }

  private struct Interruption: Error {}

  @Test(
    "A released lock goes to the first waiter at once, with its token and ttl and a larger number")
  func handsOn() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(2)
    let first = try await lockers[0].acquire(key, options: .patient)
    #expect(first.token.hasPrefix("rl1n:"))
    let waiting = try await queueUp(lockers[1], for: key)
    let token = try #require(try server.queue(of: key).first)
    #expect(try server.entries(of: key) == [token])
    let start = ContinuousClock.now
    #expect(try await first.release() == .released)
    let second = try await expectPromptly(waiting, since: start)
    #expect(second.token == token)
    #expect(try server.value(of: key) == token)
    #expect(second.remaining <= .seconds(30) && second.remaining > .seconds(15))
    let (old, new) = (try #require(first.fencingToken), try #require(second.fencingToken))
    #expect(new > old)
    await eventually("the queue is empty") { try server.queue(of: key).isEmpty }
    try await second.release()
    await expectNothingLeft(key)
  }

  @Test("A released lock goes to all waiters in their order of arrival, with rising fencing tokens")
  func order() async throws {
    let key = uniqueKey()
    let lockers = try await makeLockers(8)
    let first = try await lockers[0].acquire(key, options: .patient)
    let holdings = Recorder<Holding>()
    holdings.record(Holding(index: 0, fence: first.fencingToken ?? 0))
    var tasks: [Task<Void, any Error>] = []
    for (index, locker) in lockers.enumerated().dropFirst() {
      tasks.append(
        try await queueUp(for: key) {
          let lock = try await locker.acquire(key, options: .patient)
          holdings.record(Holding(index: index, fence: lock.fencingToken ?? 0))
          try await lock.release()
        })
    }
    let start = ContinuousClock.now
    try await first.release()
    for task in tasks { try await task.value }
    #expect(ContinuousClock.now - start < .seconds(3), "seven handoffs, and no poll among them")
    #expect(holdings.values.map(\.index) == Array(0..<8))
    let fences = holdings.values.map(\.fence)
    #expect(zip(fences, fences.dropFirst()).allSatisfy { $0 < $1 })
    await expectNothingLeft(key)
  }

  @Test("A lock is never free between two waiters, so no client outside the queue can take it")
  func neverFree() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(5)
    let first = try await lockers[0].acquire(key, options: .patient)
    let prober = Prober(server, key: key)
    var tasks: [Task<Void, any Error>] = []
    let last = Shared<Lock?>(nil)
    for (index, locker) in lockers.enumerated().dropFirst() {
      tasks.append(
        try await queueUp(for: key) {
          let lock = try await locker.acquire(key, options: .patient)
          let seen = prober.attempts
          await eventually("the prober tries meanwhile") { prober.attempts > seen + 20 }
          if index == 4 { last.value = lock } else { try await lock.release() }
        })
    }
    try await first.release()
    for task in tasks { try await task.value }
    let report = await prober.stop()
    #expect(report.successes == 0)
    #expect(report.failure == nil)
    #expect(report.attempts > 80)
    try await last.exchange(nil)?.release()
  }

  @Test("A lock goes back and forth a hundred times without waiting for a poll")
  func backAndForth() async throws {
    let key = uniqueKey()
    let fences = Recorder<UInt64>()
    let start = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
      for locker in try await makeLockers(3) {
        group.addTask {
          for _ in 0..<100 {
            let lock = try await locker.acquire(key, options: .patient)
            fences.record(lock.fencingToken ?? 0)
            try await lock.release()
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(ContinuousClock.now - start < .seconds(5), "one poll alone would take that long")
    #expect(zip(fences.values, fences.values.dropFirst()).allSatisfy { $0 < $1 })
    #expect(fences.values.count == 300)
    await expectNothingLeft(key)
  }

  @Test("A released lock goes to its waiter however long it has waited")
  func longWait() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(3) { $0.operationTimeout = .milliseconds(200) }
    let first = try await lockers[0].acquire(key, options: .patient)
    // With these options, an entry that is not polled for lapses after half a second.
    let options = LockOptions.polling(ttl: .milliseconds(300))
    let second = try await queueUp(lockers[1], for: key, options: options)
    let third = try await queueUp(lockers[2], for: key, options: options)
    let queue = try server.queue(of: key)
    try await Task.sleep(for: .seconds(2))
    #expect(try server.queue(of: key) == queue)
    #expect(try await lockers[0].inspect(key)?.waiterCount == 2)
    try await first.release()
    let lock = try await expectPromptly(second)
    #expect(lock.token == queue.first)
    try await lock.release()
    try await expectPromptly(third).release()
    await expectNothingLeft(key)
  }

  @Test("Waiters for a lock send few requests", .redisServer())
  func fewQuestions() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(6)
    let first = try await lockers[0].acquire(key, options: .patient)
    var tasks: [Task<Lock, any Error>] = []
    for locker in lockers.dropFirst() { tasks.append(try await queueUp(locker, for: key)) }
    let calls = try server.calls("evalsha", "eval", "set")
    // Long enough for 10 polls at intervals of 100 ms, but for only one at intervals of 5 s.
    try await Task.sleep(for: .seconds(1))
    #expect(try server.calls("evalsha", "eval", "set") - calls <= 10)
    for task in tasks { task.cancel() }
    for task in tasks { _ = await task.result }
    try await first.release()
    await expectNothingLeft(key)
  }

  @Test("A lock goes to the next waiter even if its handle is dropped or its locker closed")
  func otherReleases() async throws {
    let key = uniqueKey()
    let lockers = try await makeLockers(4)
    var first: Lock? = try await lockers[0].acquire(key, options: .patient)
    #expect(first?.isHeld == true)
    let second = try await queueUp(lockers[1], for: key)
    let third = try await queueUp(for: key) {
      try await lockers[2].withLock(key, options: .patient) { _ in throw Interruption() }
    }
    let fourth = try await queueUp(lockers[3], for: key)
    first = nil
    #expect(try await expectPromptly(second).keys == [key])
    let start = ContinuousClock.now
    await lockers[1].close()
    await #expect(throws: Interruption.self) { try await third.value }
    try await expectPromptly(fourth, since: start).release()
    await expectNothingLeft(key)
  }

  @Test("A lock without fencing is handed on as well, and has no fencing token")
  func withoutFencing() async throws {
    let key = uniqueKey()
    let lockers = try await makeLockers(2) { $0.isFencingEnabled = false }
    let first = try await lockers[0].acquire(key, options: .patient)
    let waiting = try await queueUp(lockers[1], for: key)
    try await first.release()
    let second = try await expectPromptly(waiting)
    #expect(first.fencingToken == nil && second.fencingToken == nil)
    try await second.release()
    await expectNothingLeft(key)
  }

  @Test("Fencing tokens above 10^15 are handed on with all their digits", .redisServer())
  func largeNumbers() async throws {
    let (client, key) = (RedisClient(.current), uniqueKey())
    let lockers = try await makeLockers(3)
    // The last whole numbers that a script can count to are around 9.007e15.
    try client("SET", "redis-lock:fence", "9007199254700000")
    let first = try await lockers[0].acquire(key, options: .patient)
    var last = try #require(first.fencingToken)
    #expect(last > 9_007_199_254_700_000 && last < 9_007_199_254_701_000)
    var lock = first
    for locker in lockers.dropFirst() {
      let waiting = try await queueUp(locker, for: key)
      try await lock.release()
      lock = try await expectPromptly(waiting)
      let number = try #require(lock.fencingToken)
      #expect(number > last && number < last + 100)
      last = number
    }
    try await lock.release()
  }
}
