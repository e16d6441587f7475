import AsyncRedisLock
import FaultProxy
import PrivateRedis
import Testing

@Suite("Several contended keys", .timeLimit(.minutes(2)), .redisServer())
struct SeveralKeysTests {
  /// The tasks in the critical sections of some keys.
  private actor Sections {
    private var inside: Set<String> = []
    private var fences: [String: UInt64] = [:]
    private(set) var turns: [String: Int] = [:]

    func enter(_ lock: Lock, _ name: String = "") {
      for key in lock.keys {
        #expect(inside.insert(key).inserted, "two hold \(key)")
        #expect(lock.fencingToken ?? 0 > fences[key] ?? 0, "the numbers fall")
        fences[key] = lock.fencingToken ?? 0
      }
      turns[name, default: 0] += 1
    }

    func leave(_ lock: Lock) {
      #expect(lock.isHeld)
      for key in lock.keys { inside.remove(key) }
    }
  }

  @Test("Several keys are handed on as soon as the last of them is free, not earlier")
  func handsOn() async throws {
    let server = RedisServer.current
    let (a, b, c) = (uniqueKey("a"), uniqueKey("b"), uniqueKey("c"))
    let lockers = try await makeLockers(3)
    let first = try await lockers[0].acquire(a, options: .patient)
    let second = try await lockers[1].acquire(b, c, options: .patient)
    let waiting = try await queueUp(lockers[2], for: a, b, c)
    let token = try #require(try server.queue(of: a).first)
    #expect(try server.queue(of: b) == [token] && server.queue(of: c) == [token])
    try await first.release()
    // The key is reserved for the waiter, which is not told that it has the lock.
    #expect(try server.value(of: a) == token)
    #expect(try server.value(of: b) == second.token)
    #expect(try server.waitingLabels(of: b) == ["locker-2"])
    let start = ContinuousClock.now
    try await second.release()
    let lock = try await expectPromptly(waiting, since: start)
    #expect(lock.token == token && lock.remaining <= .seconds(30))
    for key in [a, b, c] { #expect(try server.value(of: key) == token) }
    try await lock.release()
    await expectNothingLeft(a, b, c)
  }

  @Test(
    "Several keys are taken in any order by many tasks without a deadlock", .timeLimit(.minutes(1)))
  func noDeadlock() async throws {
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let sections = Sections()
    let start = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, locker) in try await makeLockers(4).enumerated() {
        group.addTask {
          for _ in 0..<30 {
            let keys = index.isMultiple(of: 2) ? [a, b] : [b, a]
            let lock = try await locker.acquire(keys, options: .patient)
            await sections.enter(lock)
            await sections.leave(lock)
            try await lock.release()
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(ContinuousClock.now - start < .seconds(8))
    await expectNothingLeft(a, b)
  }

  @Test(
    "Several keys that overlap in a ring are taken by all tasks that want two of them",
    .timeLimit(.minutes(1)))
  func ring() async throws {
    let keys = (0..<3).map { uniqueKey("ring\($0)") }
    let sections = Sections()
    let start = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, locker) in try await makeLockers(6).enumerated() {
        group.addTask {
          for _ in 0..<20 {
            let two = [keys[index % 3], keys[(index + 1) % 3]]
            let lock = try await locker.acquire(two, options: .patient)
            await sections.enter(lock)
            await sections.leave(lock)
            try await lock.release()
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(ContinuousClock.now - start < .seconds(8))
    await expectNothingLeft(keys[0], keys[1], keys[2])
  }

  @Test("Many tasks that want one key do not starve a task that wants two", .timeLimit(.minutes(1)))
  func notStarved() async throws {
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let lockers = try await makeLockers(7)
    let sections = Sections()
    let isOver = Shared(false)
    let longest = try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, locker) in lockers.enumerated().dropFirst() {
        group.addTask {
          while !isOver.value {
            // Four tasks want the one key, two tasks want both.
            let lock = try await locker.acquire(index < 5 ? a : b, options: .patient)
            await sections.enter(lock, "single")
            try await Task.sleep(for: .milliseconds(1))
            await sections.leave(lock)
            try await lock.release()
          }
        }
      }
      defer { isOver.value = true }
      await eventually { await sections.turns["single", default: 0] > 20 }
      var longest = Duration.zero
      for _ in 0..<20 {
        let start = ContinuousClock.now
        let lock = try await lockers[0].acquire(a, b, options: .patient)
        longest = max(longest, ContinuousClock.now - start)
        await sections.enter(lock, "both")
        await sections.leave(lock)
        try await lock.release()
      }
      isOver.value = true
      try await group.waitForAll()
      return longest
    }
    #expect(longest < .seconds(2))
    #expect(await sections.turns["both"] == 20)
    await expectNothingLeft(a, b)
  }

  @Test(
    "A waiter that gives up also gives back the one key reserved for it", arguments: [true, false])
  func reservationUndone(isCancelled: Bool) async throws {
    let server = RedisServer.current
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let lockers = try await makeLockers(4)
    let first = try await lockers[0].acquire(a, options: .patient)
    let second = try await lockers[1].acquire(b, options: .patient)
    var hasty = LockOptions.patient
    hasty.timeout = isCancelled ? .seconds(20) : .seconds(1)
    let givesUp = try await queueUp(lockers[2], for: a, b, options: hasty)
    let token = try #require(try server.queue(of: a).first)
    let next = try await queueUp(lockers[3], for: a)
    try await first.release()
    #expect(try server.value(of: a) == token)
    if isCancelled { givesUp.cancel() }
    let attempt = await Attempt { try await givesUp.value }
    #expect(attempt.value == nil)
    try await expectPromptly(next).release()
    await eventually("its places are given up") {
      try server.queue(of: a).isEmpty && server.queue(of: b).isEmpty
    }
    #expect(second.isHeld)
    try await second.release()
    await expectNothingLeft(a, b)
  }

  @Test("A reservation of a dead waiter blocks others for no longer than its ttl")
  func deadReservation() async throws {
    let server = RedisServer.current
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let lockers = try await makeLockers(3)
    let first = try await lockers[0].acquire(a, options: .patient)
    let second = try await lockers[1].acquire(b, options: .patient)
    let proxy = try FaultProxy(to: server)
    let dying = try await Locker(url: proxy.url)
    let options = LockOptions.polling(ttl: .milliseconds(1500), timeout: .seconds(4))
    let lost = try await queueUp(dying, for: a, b, options: options)
    let next = try await queueUp(lockers[2], for: a, options: .polling(ttl: .milliseconds(1500)))
    try await first.release()
    await eventually("the key is reserved") { try server.queue(of: b).first == server.value(of: a) }
    proxy.stop()
    try await expectPromptly(next, within: .seconds(5)).release()
    #expect(await Attempt { try await lost.value }.value == nil)
    try await second.release()
    await expectNothingLeft(a, b, within: .seconds(10))
  }

  @Test("If a waiter for several keys is cancelled at any instant, it keeps none of them")
  func crossedCancellation() async throws {
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let lockers = try await makeLockers(4)
    for _ in 0..<60 {
      let first = try await lockers[0].acquire(a, options: .patient)
      let second = try await lockers[1].acquire(b, options: .patient)
      let both = try await queueUp(lockers[2], for: a, b)
      let next = try await queueUp(lockers[3], for: b)
      let start = ContinuousClock.now
      async let firstOutcome = first.release()
      async let secondOutcome = second.release()
      try await Task.sleep(for: .microseconds(Int.random(in: 0...800)))
      both.cancel()
      do { try await both.value.release() } catch is CancellationError {}
      #expect(try await firstOutcome == .released)
      #expect(try await secondOutcome == .released)
      try await expectPromptly(next, since: start).release()
    }
    await expectNothingLeft(a, b)
  }
}
