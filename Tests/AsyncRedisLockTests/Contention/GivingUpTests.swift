import AsyncRedisLock
import PrivateRedis
import Testing

/// The holder's ttl is longer than the test: a key that is gone was given back and did not expire.
@Suite("A waiter that gives up", .timeLimit(.minutes(2)), .redisServer())
struct GivingUpTests {
  @Test("A waiter that times out leaves the queue and does not disturb the holder")
  func timeout() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(2)
    let first = try await lockers[0].acquire(key, options: .patient)
    var options = LockOptions.patient
    options.timeout = .milliseconds(700)
    let waiting = try await queueUp(lockers[1], for: key, options: options)
    let attempt = await Attempt { try await waiting.value }
    #expect(attempt.error?.code == .timeout)
    #expect(attempt.error?.holder?.value == first.token)
    #expect(attempt.duration < .seconds(2))
    await eventually("the queue is empty") {
      try server.queue(of: key).isEmpty && server.entries(of: key).isEmpty
    }
    #expect(first.isHeld)
    #expect(try server.value(of: key) == first.token)
    #expect(try await first.release() == .released)
    await expectNothingLeft(key)
  }

  @Test("A waiter that is cancelled leaves the queue, and later waiters move up")
  func cancelled() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(4)
    let first = try await lockers[0].acquire(key, options: .patient)
    var tasks: [Task<Lock, any Error>] = []
    for locker in lockers.dropFirst() { tasks.append(try await queueUp(locker, for: key)) }
    #expect(try server.waitingLabels(of: key) == ["locker-1", "locker-2", "locker-3"])
    tasks[0].cancel()
    await #expect(throws: CancellationError.self) { try await tasks[0].value }
    await eventually { try server.waitingLabels(of: key) == ["locker-2", "locker-3"] }
    await eventually { try server.entries(of: key).count == 2 }
    tasks[2].cancel()
    await #expect(throws: CancellationError.self) { try await tasks[2].value }
    await eventually { try server.waitingLabels(of: key) == ["locker-2"] }
    try await first.release()
    let second = try await expectPromptly(tasks[1])
    #expect(try await second.release() == .released)
    await expectNothingLeft(key)
  }

  @Test("A waiter whose locker is closed leaves the queue, and no connection stays", .redisServer())
  func closed() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(3)
    let first = try await lockers[0].acquire(key, options: .patient)
    let second = try await queueUp(lockers[1], for: key)
    let third = try await queueUp(lockers[2], for: key)
    #expect(try server.inboxes().count == 2)
    await lockers[1].close()
    // The process may end now.
    #expect(try server.waitingLabels(of: key) == ["locker-2"])
    await expectError(.closed) { try await second.value }
    await eventually(within: .seconds(1), "its inbox is closed") {
      try server.inboxes().count == 1
    }
    try await first.release()
    try await expectPromptly(third).release()
    await expectNothingLeft(key)
  }

  @Test("A waiter whose locker goes out of scope leaves the queue, and no connection stays")
  func dropped() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let holder = try await Locker { $0.clientName = "stays" }
    let first = try await holder.acquire(key, options: .patient)
    func connections() throws -> Int? {
      let list = try RedisClient(server)("CLIENT", "LIST").string
      return list?.split(separator: "\n").count { $0.contains(" name=goes ") }
    }
    for _ in 0..<20 {
      let locker = try await Locker { $0.clientName = "goes" }
      let waiting = try await queueUp(locker, for: key)
      waiting.cancel()
      // No task waits for the end of the call.
      await eventually("the queue is empty") { try server.queue(of: key).isEmpty }
    }
    #expect(try server.entries(of: key).isEmpty)
    await eventually(within: .seconds(2), "the connections are closed") { try connections() == 0 }
    try await first.release()
    await expectNothingLeft(key)
  }

  @Test("If a waiter is cancelled at the instant of the handoff, the next one gets the lock")
  func crossedCancellation() async throws {
    let key = uniqueKey()
    let lockers = try await makeLockers(3)
    var (granted, cancelled) = (0, 0)
    // On any machine, both outcomes occur: each outcome makes the other more likely.
    var (untilRelease, untilCancel) = (600, 600)
    for _ in 0..<150 {
      let first = try await lockers[0].acquire(key, options: .patient)
      let second = try await queueUp(lockers[1], for: key)
      let third = try await queueUp(lockers[2], for: key)
      let start = ContinuousClock.now
      let release = Task { [untilRelease] in
        try await Task.sleep(for: .microseconds(Int.random(in: 0...untilRelease)))
        return try await first.release()
      }
      try await Task.sleep(for: .microseconds(Int.random(in: 0...untilCancel)))
      second.cancel()
      do {
        try await second.value.release()
        granted += 1
        (untilRelease, untilCancel) = (600, untilCancel / 2)
      } catch is CancellationError {
        cancelled += 1
        (untilRelease, untilCancel) = (untilRelease / 2, 600)
      }
      #expect(try await release.value == .released)
      try await expectPromptly(third, since: start).release()
    }
    #expect(granted > 0 && cancelled > 0, "the test must hit both: \(granted), \(cancelled)")
    await expectNothingLeft(key)
  }

  @Test("If a waiter's deadline meets the handoff, the next one gets the lock")
  func crossedTimeout() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(3)
    for _ in 0..<60 {
      let first = try await lockers[0].acquire(key, options: .patient)
      var options = LockOptions.patient
      options.timeout = .milliseconds(40)
      let hasty = options
      let second = Task { try await lockers[1].acquire(key, options: hasty) }
      let deadline = ContinuousClock.now + .milliseconds(40)
      let third = Task { try await lockers[2].acquire(key, options: .patient) }
      await eventually { try server.waitingLabels(of: key).contains("locker-2") }
      let around = deadline + .microseconds(Int.random(in: -3000...3000))
      try await Task.sleep(until: around, clock: .continuous)
      let start = ContinuousClock.now
      let release = Task { try await first.release() }
      do {
        try await second.value.release()
      } catch let error as LockError {
        #expect(error.code == .timeout || error.code == .unreachable)
      }
      #expect(try await release.value == .released)
      try await expectPromptly(third, since: start).release()
    }
    await expectNothingLeft(key)
  }

  @Test("Hundreds of waiters that come and go leave nothing behind and do not block others")
  func turmoil() async throws {
    let key = uniqueKey()
    let lockers = try await makeLockers(6)
    let stop = ContinuousClock.now + .seconds(3)
    let completed = Recorder<Int>()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, locker) in lockers.enumerated() {
        group.addTask {
          while ContinuousClock.now < stop {
            let task = Task { try await locker.acquire(key, options: .patient) }
            try await Task.sleep(for: .microseconds(Int.random(in: 0...3000)))
            if index > 1 { task.cancel() }
            do {
              try await task.value.release()
              completed.record(index)
            } catch is CancellationError {}
          }
        }
      }
      try await group.waitForAll()
    }
    // Two waiters are never cancelled; each of their turns takes some milliseconds.
    for index in 0...1 { #expect(completed.values.count { $0 == index } > 50) }
    await expectNothingLeft(key)
  }
}
