import AsyncRedisLock
import PrivateRedis
import Testing

/// Each test has a server of its own, since it disturbs all connections.
@Suite("Waiters", .timeLimit(.minutes(2)))
struct DeadHolderTests {
  /// Makes lockers wait for a key, in order.
  private func queueUp(
    _ lockers: some Sequence<Locker>, for key: String, options: LockOptions = .patient
  ) async throws -> [Task<Lock, any Error>] {
    var tasks: [Task<Lock, any Error>] = []
    for locker in lockers {
      tasks.append(try await AsyncRedisLockTests.queueUp(locker, for: key, options: options))
    }
    return tasks
  }

  /// Expects each to get the lock in turn, the first within the limit.
  private func expectOrder(
    _ tasks: [Task<Lock, any Error>], within limit: Duration,
    since start: ContinuousClock.Instant = .now, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    var limit = limit
    var start = start
    for task in tasks {
      let lock = try await expectPromptly(
        task, within: limit, since: start, sourceLocation: sourceLocation)
      try await lock.release()
      (limit, start) = (.seconds(2), .now)
    }
  }

  /// Expects all to get the lock, in any order.
  private func expectAnyOrder(
    _ tasks: [Task<Lock, any Error>], within limit: Duration,
    since start: ContinuousClock.Instant, above first: Lock
  ) async throws {
    try await withThrowingTaskGroup(of: UInt64.self) { group in
      for task in tasks {
        group.addTask {
          let lock = try await expectPromptly(task, within: limit, since: start)
          try await lock.release()
          return lock.fencingToken ?? 0
        }
      }
      for try await fence in group { #expect(fence > first.fencingToken ?? .max) }
    }
  }

  @Test("Waiters get the lock of a killed process in order when its ttl is over", .redisServer())
  func holderKilled() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(3)
    let process = try LockTakerProcess(server, "hold", key: key, ttl: 1500, extend: 500)
    await eventually { process.hasSaid("held") }
    let tasks = try await queueUp(lockers, for: key)
    process.kill()
    let start = ContinuousClock.now
    try await expectOrder(tasks, within: .milliseconds(2600), since: start)
    await expectNothingLeft(key)
  }

  @Test("Waiters get an expiring key in order, and not before it expires", .redisServer())
  func expiry() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(3)
    try RedisClient(server)("SET", key, "theirs", "PX", "1200")
    let start = ContinuousClock.now
    let tasks = try await queueUp(lockers, for: key)
    let first = try await expectPromptly(tasks[0], within: .milliseconds(2200), since: start)
    #expect(ContinuousClock.now - start > .milliseconds(1190))
    #expect(try server.waitingLabels(of: key) == ["locker-1", "locker-2"])
    try await first.release()
    try await expectOrder(Array(tasks.dropFirst()), within: .handoff)
    await expectNothingLeft(key)
  }

  @Test("If a lock is lost after a handoff, waiters get it when it expires", .redisServer())
  func grantedHolderKilled() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(2)
    let first = try await lockers[0].acquire(key, options: .patient)
    let process = try LockTakerProcess(server, "wait", key: key, ttl: 1500, extend: 500)
    await eventually { try server.queue(of: key).count == 1 }
    let second = try await AsyncRedisLockTests.queueUp(
      lockers[1], for: key, options: .polling(ttl: .seconds(3)))
    try await first.release()
    await eventually { process.hasSaid("held") }
    process.kill()
    // The waiter does not know how long the process lives, so it polls each second.
    try await expectPromptly(second, within: .seconds(4)).release()
    await expectNothingLeft(key)
  }

  @Test("Waiters continue when all connections are killed", .redisServer())
  func connectionsKilled() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let client = RedisClient(server)
    let lockers = try await makeLockers(3)
    let first = try await lockers[0].acquire(key, options: .patient)
    let tasks = try await queueUp(lockers.dropFirst(), for: key)
    for _ in 0..<10 {
      try client("CLIENT", "KILL", "TYPE", "pubsub")
      try client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      await eventually("they listen again") { try server.inboxes().count == 2 }
    }
    #expect(first.isHeld)
    let start = ContinuousClock.now
    #expect(try await first.release() == .released)
    // A waiter whose request was lost with its connection may have to join the queue again.
    try await expectAnyOrder(tasks, within: .seconds(3), since: start, above: first)
    await expectNothingLeft(key)
  }

  @Test("Waiters continue when the server forgets all scripts", .redisServer())
  func scriptFlush() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(4)
    let first = try await lockers[0].acquire(key, options: .patient)
    let tasks = try await queueUp(
      lockers.dropFirst(), for: key, options: .polling(ttl: .milliseconds(900)))
    let calls = try server.calls("eval", "evalsha", "script")
    try RedisClient(server)("SCRIPT", "FLUSH")
    await eventually("all have polled since") {
      try server.calls("eval", "evalsha", "script") >= calls + 6
    }
    try RedisClient(server)("SCRIPT", "FLUSH")
    #expect(try server.queue(of: key).count == 3)
    try await first.release()
    try await expectOrder(tasks, within: .handoff)
    await expectNothingLeft(key)
  }

  @Test("If the server loses all keys, waiters get the lock by their polls", .redisServer())
  func flushAll() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(3)
    let first = try await lockers[0].acquire(key, options: .patient)
    let tasks = try await queueUp(
      lockers.dropFirst(), for: key, options: .polling(ttl: .milliseconds(1500)))
    try RedisClient(server)("FLUSHALL")
    let start = ContinuousClock.now
    try await expectAnyOrder(tasks, within: .seconds(3), since: start, above: first)
    #expect(try await first.release() != .released)
    await expectNothingLeft(key)
  }

  @Test("Waiters get the lock soon after the server has been restarted", .redisServer())
  func restart() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(3)
    let first = try await lockers[0].acquire(key, options: .polling(ttl: .milliseconds(1500)))
    let tasks = try await queueUp(
      lockers.dropFirst(), for: key, options: .polling(ttl: .milliseconds(1500)))
    try server.restart()
    try await expectAnyOrder(tasks, within: .seconds(5), since: .now, above: first)
    await expectNothingLeft(key)
  }

  @Test("A lock that is taken away by force goes to the first waiter", .redisServer())
  func forceRelease() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(4)
    var options = LockOptions.patient
    options.extend = .milliseconds(200)
    let first = try await lockers[0].acquire(key, options: options)
    let tasks = try await queueUp(lockers[1...2], for: key)
    let start = ContinuousClock.now
    #expect(try await lockers[3].forceRelease(key)?.value == first.token)
    let second = try await expectPromptly(tasks[0], since: start)
    #expect(try server.value(of: key) == second.token)
    try await first.waitUntilLost()
    #expect(first.lossReason == .takenByAnother)
    // The former holder's calls no longer matter.
    #expect(try await first.release() == .takenByAnother)
    #expect(second.isHeld)
    try await second.release()
    try await expectPromptly(tasks[1]).release()
    await expectNothingLeft(key)
  }
}
