import AsyncRedisLock
import Logging
import Testing

@testable import AsyncRedisLockTesting

@Suite("A server in memory", .timeLimit(.minutes(2)))
struct InMemoryFaultTests {
  private let clock = ManualClock()
  private let server: InMemoryServer
  private let patient = LockOptions(timeout: nil)
  private let key = "key"

  init() { server = InMemoryServer(clock: clock) }

  @Test("A server in memory drops a lock if told to, and hands it to the first waiter")
  func losing() async throws {
    let (first, second) = (Locker.inMemory(on: server), Locker.inMemory(on: server))
    let lock = try await first.acquire(key)
    let next = server.startTask { [key, patient] in try await second.acquire(key, options: patient)
    }
    try await server.settle()
    #expect(try await first.inspect(key)?.waiterCount == 1)
    server.loseLock(on: key)
    #expect(lock.lossReason == .takenByAnother)
    #expect(try await next.value.isHeld)
    #expect(lock.newHolder?.value == (try await next.value.token))
    #expect(server.holder(of: key)?.value == (try await next.value.token))
    server.loseLock(on: "free")
  }

  @Test("An unreachable server keeps a lock until its ttl ends, and no longer")
  func unreachable() async throws {
    let locker = Locker.inMemory(on: server)
    let lock = try await locker.acquire(key)
    server.simulate(.unreachable)
    let attempt = server.startTask { await Attempt { try await locker.acquire("other") } }
    try await clock.advance(by: .seconds(1))
    #expect(try await attempt.value.error?.code == .unreachable)
    #expect(lock.isHeld)
    try await clock.advance(by: .seconds(2))
    #expect(lock.lossReason == .expired)
    server.simulate(.none)
    let next = try await locker.acquire(key)
    #expect(next.isHeld && server.lockedKeys == [key])
  }

  @Test("A locker that cannot reach the server loses its lock to another locker")
  func partition() async throws {
    let (first, second) = (Locker.inMemory(on: server), Locker.inMemory(on: server))
    let lock = try await first.acquire(key)
    server.simulate(.unreachable, for: first)
    let next = server.startTask { [key, patient] in try await second.acquire(key, options: patient)
    }
    try await clock.advance(by: .seconds(4))
    let taken = try await next.value
    #expect(lock.lossReason == .expired)
    #expect(try #require(taken.fencingToken) > (try #require(lock.fencingToken)))
    // The first locker's requests wait until they get through.
    let waiting = server.startTask { [key, patient] in
      try await first.acquire(key, options: patient)
    }
    try await server.settle()
    server.simulate(.none, for: first)
    try await taken.release()
    #expect(try await waiting.value.isHeld)
  }

  @Test("If a server's answers are lost, all locks are given back")
  func lostReplies() async throws {
    let locker = Locker.inMemory(on: server)
    server.simulate(.losingReplies)
    let attempt = server.startTask { [key] in await Attempt { try await locker.acquire(key) } }
    try await server.settle()
    #expect(server.lockedKeys == [key])
    try await clock.advance(by: .seconds(1))
    #expect(try await attempt.value.error?.code == .unreachable)
    #expect(server.lockedKeys.isEmpty)
    server.simulate(.none)
    let lock = try await locker.acquire(key)
    server.simulate(.losingReplies)
    let release = server.startTask { await Attempt { try await lock.release() } }
    try await server.settle()
    #expect(server.lockedKeys.isEmpty)
    try await clock.advance(by: .seconds(1))
    #expect(try await release.value.error?.code == .unreachable)
  }

  @Test("A refusing server is quoted, and asked again if that may help")
  func refusing() async throws {
    let locker = Locker.inMemory(on: server)
    server.simulate(.refusing("NOPERM", message: "no permission"))
    let attempt = await Attempt { try await locker.acquire(key) }
    #expect(attempt.error?.code == .refused && attempt.error?.serverCode == "NOPERM")
    #expect(attempt.error?.isRetryable == false)

    server.simulate(.refusing("LOADING", isTransient: true))
    let patient = server.startTask { [key] in try await locker.acquire(key) }
    try await clock.advance(by: .milliseconds(500))
    server.simulate(.none)
    try await clock.advance(by: .milliseconds(100))
    let lock = try await patient.value
    server.simulate(.refusing("LOADING", isTransient: true))
    let release = server.startTask { try await lock.release() }
    try await server.settle()
    #expect(!lock.isHeld)
    server.simulate(.none)
    #expect(try await release.value == .released)
    #expect(server.lockedKeys.isEmpty)
  }

  @Test("A caller waits for a slow server, and does not trust its answer past the ttl")
  func delaying() async throws {
    let locker = Locker.inMemory(on: server)
    server.simulate(.delaying(by: .milliseconds(400)))
    let start = clock.now
    let acquired = server.startTask { [key] in try await locker.acquire(key) }
    try await clock.advance(by: .milliseconds(400))
    let lock = try await acquired.value
    // The validity counts from the request, not from the answer.
    #expect(lock.remaining <= .milliseconds(2600))
    #expect(start.duration(to: clock.now) == .milliseconds(400))
    try await clock.advance(by: .seconds(10))
    #expect(lock.isHeld)

    server.simulate(.delaying(by: .milliseconds(1100)))
    let late = server.startTask { await Attempt { try await locker.acquire("late") } }
    try await clock.advance(by: .seconds(1))
    #expect(try await late.value.error?.code == .unreachable)
    #expect(server.lockedKeys == [key])
  }

  @Test(
    "An unreachable server does not delay a closing locker, and gets the locks back later")
  func closing() async throws {
    let locker = Locker.inMemory(on: server)
    let lock = try await locker.acquire(key)
    server.simulate(.unreachable)
    let waiting = server.startTask { await Attempt { try await locker.acquire("other") } }
    try await server.settle()
    await locker.close()
    #expect(try await waiting.value.error?.code == .closed)
    #expect(!lock.isHeld)
    #expect(server.lockedKeys.contains(key))
    server.simulate(.none)
    #expect(!server.lockedKeys.contains(key))
  }

  @Test("A server in memory counts the waiters of one locker and of several lockers")
  func waiters() async throws {
    let (first, second) = (Locker.inMemory(on: server), Locker.inMemory(on: server))
    let lock = try await first.acquire([key, "second"])
    #expect(server.taskCount(waitingFor: key) == 0 && server.lockedKeys == [key, "second"])
    let waiting = [first, first, second].map { locker in
      Task { [key, patient] in try await locker.withLock(key, options: patient) { _ in } }
    }
    try await server.waitForTasks(3, waitingFor: key)
    let tooMany = Task { [key, server] in
      _ = await #expect(throws: CancellationError.self) {
        try await server.waitForTasks(4, waitingFor: key)
      }
    }
    tooMany.cancel()
    await tooMany.value
    try await lock.release()
    for task in waiting { try await task.value }
    #expect(server.taskCount(waitingFor: key) == 0 && server.lockedKeys.isEmpty)
  }

  @Test("A server in memory forgets tokens that are no longer used")
  func tokens() async throws {
    let locker = Locker.inMemory(on: server)
    let lock = try await locker.acquire("kept")
    for _ in 0..<5000 { try await locker.acquire(key).release() }
    #expect(try await lock.release() == .released)
  }
}
