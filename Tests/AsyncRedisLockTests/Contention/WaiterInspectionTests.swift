import AsyncRedisLock
import Foundation
import PrivateRedis
import Testing

@Suite("An inspection of a lock", .timeLimit(.minutes(2)), .redisServer())
struct WaiterInspectionTests {
  @Test("An inspection lists the waiters of a lock in order, until they leave")
  func waiters() async throws {
    let key = uniqueKey()
    let lockers = try await makeLockers(4)
    #expect(try await lockers[3].inspect(key) == nil)
    let first = try await lockers[0].acquire(key, options: .patient)
    let alone = try #require(try await lockers[3].inspect(key))
    #expect(alone.waiterCount == 0 && alone.waiters.isEmpty)

    var tasks: [Task<Lock, any Error>] = []
    for locker in lockers.dropFirst() { tasks.append(try await queueUp(locker, for: key)) }
    let status = try #require(try await lockers[3].inspect(key))
    #expect(status.holder.value == first.token)
    #expect(status.waiterCount == 3)
    #expect(status.waiters.map(\.label) == ["locker-1", "locker-2", "locker-3"])
    #expect(status.waiters.map(\.value) == (try RedisServer.current.queue(of: key)))
    for waiter in status.waiters {
      #expect(waiter.host == status.holder.host && waiter.host != nil)
      #expect(waiter.processID == ProcessInfo.processInfo.processIdentifier)
    }
    #expect(Set(status.waiters.map(\.lockerID)).count == 3)

    tasks[0].cancel()
    await eventually("the first leaves") {
      try await lockers[3].inspect(key)?.waiters.map(\.label) == ["locker-2", "locker-3"]
    }
    try await first.release()
    let second = try await expectPromptly(tasks[1])
    let later = try #require(try await lockers[0].inspect(key))
    #expect(later.holder.value == second.token)
    #expect(later.waiterCount == 1 && later.waiters.map(\.label) == ["locker-3"])
    try await second.release()
    try await expectPromptly(tasks[2]).release()
    #expect(try await lockers[0].inspect(key) == nil)
    await expectNothingLeft(key)
  }

  @Test("An inspection lists one entry for all tasks of a locker")
  func onePlace() async throws {
    let key = uniqueKey()
    let lockers = try await makeLockers(2)
    let first = try await lockers[0].acquire(key, options: .patient)
    let line = Line()
    await line.join(lockers[1], for: key, count: 50)
    await line.waitForArrivals(50)
    await eventually { try await lockers[0].inspect(key)?.waiterCount == 1 }
    #expect(try await lockers[0].inspect(key)?.waiters.map(\.label) == ["locker-1"])
    try await first.release()
    try await line.finish()
    await expectNothingLeft(key)
  }

  @Test("An inspection counts all waiters, and lists the names of the first hundred")
  func many() async throws {
    let key = uniqueKey()
    let locker = try await Locker(on: .current)
    let scripts = QueueScripts()
    let first = try await locker.acquire(key, options: .patient)
    let tokens = (0..<105).map { QueueScripts.token("t\($0)") }
    for token in tokens { #expect(try !scripts.poll(token, key).isGranted) }
    let status = try #require(try await locker.inspect(key))
    #expect(status.waiterCount == 105)
    #expect(status.waiters.map(\.value) == Array(tokens.prefix(100)))
    #expect(status.waiters.first?.label == "t0")
    for token in tokens { _ = try scripts.release(token, key, leaves: true) }
    #expect(try await locker.inspect(key)?.waiterCount == 0)
    try await first.release()
    await expectNothingLeft(key)
  }

  @Test("An inspection of a reserved key tells for which waiter it is reserved")
  func reserved() async throws {
    let (a, b) = (uniqueKey("a"), uniqueKey("b"))
    let lockers = try await makeLockers(3)
    let first = try await lockers[0].acquire(b, options: .patient)
    let both = try await queueUp(lockers[1], for: a, b)
    let status = try #require(try await lockers[2].inspect(a))
    #expect(status.holder.label == "locker-1")
    #expect(status.waiterCount == 0, "the waiter with the reservation does not wait for this key")
    #expect(try await lockers[2].inspect(b)?.waiters.map(\.label) == ["locker-1"])
    #expect(try await lockers[2].acquireIfAvailable(a) == nil)
    try await first.release()
    try await expectPromptly(both).release()
    await expectNothingLeft(a, b)
  }

  @Test(
    "An inspection lists the waiters for a foreign key; a forced release hands it to the first")
  func foreign() async throws {
    let key = uniqueKey()
    let lockers = try await makeLockers(2)
    _ = try RedisClient(.current)("SET", key, "theirs")
    let waiting = try await queueUp(lockers[0], for: key)
    let status = try #require(try await lockers[1].inspect(key))
    #expect(status.holder.value == "theirs" && status.remaining == nil)
    #expect(status.waiterCount == 1)
    #expect(try await lockers[1].forceRelease(key)?.value == "theirs")
    try await expectPromptly(waiting).release()
    await expectNothingLeft(key)
  }
}
