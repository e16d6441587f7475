import AsyncRedisLock
import PrivateRedis
import Testing

@Suite("A lock that is handed on within a locker", .timeLimit(.minutes(2)), .redisServer())
struct LocalHandoffTests {
  /// Makes a lock, and a task of the same locker that waits for it.
  ///
  /// By then, the lock can be handed on: its fencing token is drawn, and the server has confirmed the lock
  /// recently.
  private func contend(
    _ locker: Locker, _ key: String, options: LockOptions = .patient,
    next: LockOptions = .patient
  ) async throws -> (Lock, Task<Lock, any Error>) {
    let first = try await locker.acquire(key, options: options)
    let waiting = Task { try await locker.acquire(key, options: next) }
    let token = try #require(first.fencingToken)
    await eventually("a number is drawn") {
      UInt64(try RedisServer.current.value(of: "redis-lock:fence") ?? "") ?? 0 > token
    }
    // The answer to this comes after the number.
    try await first.extend(by: options.ttl)
    return (first, waiting)
  }

  @Test("A lock that is handed on counts as released for its first holder")
  func firstHandle() async throws {
    let (server, locker, key) = (RedisServer.current, try await Locker(on: .current), uniqueKey())
    let (first, waiting) = try await contend(locker, key)
    let ended = Task { try await first.waitUntilLost() }
    #expect(try await first.release() == .released)
    let second = try await expectPromptly(waiting)
    try await ended.value
    #expect(!first.isHeld && first.lossReason == nil && first.remaining == .zero)
    #expect(second.fencingToken ?? 0 > first.fencingToken ?? .max)
    #expect(second.remaining <= .seconds(30) && second.remaining > .seconds(15))
    #expect(try server.value(of: key) == second.token)
    await expectError(.lost) { try await first.extend(by: .seconds(60)) }
    #expect(try #require(RedisClient(server)("PTTL", key).integer) <= 30_000)
    try await second.release()
    await expectNothingLeft(key)
  }

  @Test("A lock that is handed on is not freed when its first holder releases or drops it again")
  func releasedTwice() async throws {
    let (server, locker, key) = (RedisServer.current, try await Locker(on: .current), uniqueKey())
    let lock: Lock
    do {
      let (first, waiting) = try await contend(locker, key)
      try await first.release()
      lock = try await expectPromptly(waiting)
      for _ in 0..<3 { #expect(try await first.release() == .released) }
      #expect(lock.isHeld)
      #expect(try server.value(of: key) == lock.token)
    }
    // Anything that the dropped handle sends comes before this request, over the same connection.
    #expect(try await locker.inspect(key)?.holder.value == lock.token)
    try await lock.extend(by: .seconds(40))
    #expect(lock.isHeld && lock.remaining > .seconds(38))
    #expect(try await lock.release() == .released)
    await expectNothingLeft(key)
  }

  @Test("A lock is also handed on when its handle is dropped, and at the end of withLock")
  func dropped() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    let next: Task<Lock, any Error>
    let start: ContinuousClock.Instant
    do {
      let (first, waiting) = try await contend(locker, key)
      #expect(first.isHeld)
      next = waiting
      start = .now
    }
    let second = try await expectPromptly(next, since: start + .milliseconds(100))
    let third = Task {
      try await locker.withLock(key, options: .patient) { lock in #expect(lock.isHeld) }
    }
    await eventually { locker.waiterCount(of: key) == 1 }
    let fourth = Task { try await locker.acquire(key, options: .patient) }
    await eventually { locker.waiterCount(of: key) == 2 }
    try await second.release()
    try await third.value
    try await expectPromptly(fourth).release()
    await expectNothingLeft(key)
  }

  @Test("A lock that is handed on lasts for the next holder's ttl, if that is longer")
  func longerTTL() async throws {
    let (server, locker, key) = (RedisServer.current, try await Locker(on: .current), uniqueKey())
    let (first, waiting) = try await contend(locker, key, options: .polling(ttl: .seconds(4)))
    try await first.release()
    let second = try await expectPromptly(waiting)
    await eventually("the ttl is raised") {
      try RedisClient(server)("PTTL", key).integer ?? 0 > 25_000
    }
    await eventually("its holder knows") { second.remaining > .seconds(25) }
    try await second.release()
    await expectNothingLeft(key)
  }

  @Test("A lock that is handed on lasts no longer than the next holder's ttl")
  func shorterTTL() async throws {
    let (server, locker, key) = (RedisServer.current, try await Locker(on: .current), uniqueKey())
    for isExtendedByHand in [false, true] {
      let options = isExtendedByHand ? LockOptions.polling(ttl: .seconds(3)) : .patient
      let next = LockOptions.polling(ttl: .seconds(3))
      let (first, waiting) = try await contend(locker, key, options: options, next: next)
      if isExtendedByHand { try await first.extend(by: .seconds(60)) }
      try await first.release()
      let second = try await expectPromptly(waiting)
      #expect(second.remaining <= .seconds(3))
      #expect(try RedisClient(server)("PTTL", key).integer ?? .max <= 3_000)
      try await second.release()
    }
    await expectNothingLeft(key)
  }

  @Test("A lock that is handed on is extended by the next holder's options: not at all, or often")
  func nextExtend() async throws {
    let (server, locker, key) = (RedisServer.current, try await Locker(on: .current), uniqueKey())
    let often = LockOptions(
      retry: .seconds(20), timeout: .seconds(20), ttl: .milliseconds(900),
      extend: .milliseconds(200))
    var never = often
    never.extend = nil
    let (first, waiting) = try await contend(locker, key, options: often, next: never)
    try await first.release()
    let start = ContinuousClock.now
    let second = try await expectPromptly(waiting)
    try await second.waitUntilLost()
    let held = ContinuousClock.now - start
    #expect(second.lossReason == .expired)
    #expect(held > .milliseconds(300) && held < .milliseconds(1500))

    let (third, last) = try await contend(locker, key, options: never, next: often)
    try await third.release()
    let fourth = try await expectPromptly(last)
    try await Task.sleep(for: .milliseconds(1500))
    #expect(fourth.isHeld)
    #expect(try server.value(of: key) == fourth.token)
    try await fourth.release()
    await expectNothingLeft(key)
  }

  @Test("A lock that was deleted is not handed on, and the waiter takes it from the server")
  func deleted() async throws {
    let (server, locker, key) = (RedisServer.current, try await Locker(on: .current), uniqueKey())
    let short = LockOptions.polling(ttl: .milliseconds(900))
    let (first, waiting) = try await contend(locker, key, options: short, next: short)
    try RedisClient(server)("DEL", key)
    try await first.waitUntilLost()
    #expect(first.lossReason == .deleted)
    // Finds it by its own polls, without help of the first task.
    let second = try await expectPromptly(waiting, within: .seconds(3))
    #expect(try server.value(of: key) == second.token)
    #expect(second.fencingToken ?? 0 > first.fencingToken ?? .max)
    #expect(try await first.release() != .released)
    #expect(second.isHeld)
    #expect(try server.value(of: key) == second.token)
    try await second.release()
    await expectNothingLeft(key)
  }

  @Test("If another client has the lock, it is not handed on, and the waiter waits for that client")
  func takenOver() async throws {
    let (server, locker, key) = (RedisServer.current, try await Locker(on: .current), uniqueKey())
    let short = LockOptions.polling(ttl: .milliseconds(900))
    let (first, waiting) = try await contend(locker, key, options: short, next: short)
    try RedisClient(server)("SET", key, "theirs", "PX", "1500")
    let start = ContinuousClock.now
    try await first.waitUntilLost()
    #expect(first.lossReason == .takenByAnother)
    #expect(try await first.release() == .takenByAnother)
    let second = try await expectPromptly(waiting, within: .seconds(4), since: start)
    #expect(ContinuousClock.now - start > .milliseconds(1400), "taken from its holder")
    #expect(try server.value(of: key) == second.token)
    #expect(second.fencingToken ?? 0 > first.fencingToken ?? .max)
    try await second.release()
    await expectNothingLeft(key)
  }

  @Test(
    "A release reports that the lock was lost, although a task of the same locker waits for it",
    arguments: [nil, "theirs"])
  func lostBeforeRelease(value: String?) async throws {
    let (server, locker, key) = (RedisServer.current, try await Locker(on: .current), uniqueKey())
    let (first, waiting) = try await contend(locker, key)
    if let value {
      try RedisClient(server)("SET", key, value, "PX", "1500")
    } else {
      try RedisClient(server)("DEL", key)
    }
    // Older than the limit for handing on without a request.
    let start = ContinuousClock.now
    try await Task.sleep(for: .milliseconds(300))
    #expect(first.isHeld, "the holder has not been told yet")
    #expect(try await first.release() == (value == nil ? .deleted : .takenByAnother))
    let second = try await expectPromptly(waiting, within: .seconds(4), since: start)
    if value != nil { #expect(ContinuousClock.now - start > .milliseconds(1400)) }
    #expect(second.token != first.token)
    #expect(try server.value(of: key) == second.token)
    #expect(try await second.release() == .released)
    await expectNothingLeft(key)
  }

  @Test("A lock on several keys is handed on whole, and only to a task that wants the same keys")
  func severalKeys() async throws {
    let (server, locker) = (RedisServer.current, try await Locker(on: .current))
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let first = try await locker.acquire(a, b, options: .patient)
    let same = Task { try await locker.acquire([b, a, b], options: .patient) }
    await eventually { locker.waiterCount(of: a) == 1 }
    let single = try await queueUp(locker, for: b)
    try await first.extend(by: .seconds(30))
    try await first.release()
    let second = try await expectPromptly(same)
    #expect(second.keys == [a, b])
    #expect(try server.value(of: a) == second.token)
    #expect(try server.value(of: b) == second.token)
    try await second.release()
    let third = try await expectPromptly(single)
    #expect(try server.value(of: a) == nil)
    try await third.release()
    await expectNothingLeft(a, b)
  }
}
