// The code of the article on tests, compiled and run.

import AsyncRedisLock
import AsyncRedisLockTesting
import Testing

struct Billing {
  let locker: Locker

  func run() async throws -> Bool {
    try await locker.withLockIfAvailable("billing") { _ in } != nil
  }
}

@Suite("Billing", .timeLimit(.minutes(2)))
struct BillingTests {
  @Test("Billing runs on one host at a time")
  func exclusion() async throws {
    let server = InMemoryServer()
    let elsewhere = try await Locker.inMemory(on: server).acquire("billing")
    let billing = Billing(locker: .inMemory(on: server))
    #expect(try await billing.run() == false)
    try await elsewhere.release()
    #expect(try await billing.run() == true)
  }
}

@Suite("The article on tests", .timeLimit(.minutes(2)))
struct TestingSnippets {
  @Test("A manual clock lets time pass as the article shows")
  func time() async throws {
    let clock = ManualClock()
    let server = InMemoryServer(clock: clock)
    let first = Locker.inMemory(on: server)
    let second = Locker.inMemory(on: server)
    let lock = try await first.acquire("key")
    let attempt = server.startTask { try await second.acquire("key") }
    try await clock.advance(by: .seconds(1))  // The timeout of the second.
    let error = await #expect(throws: LockError.self) { try await attempt.value }
    #expect(error?.code == .timeout)
    try await clock.advance(by: .seconds(3600))
    #expect(lock.isHeld)  // It has been extended all the time.
  }

  @Test("A server in memory settles as the article shows")
  func settling() async throws {
    let clock = ManualClock()
    let server = InMemoryServer(clock: clock)
    let locker = Locker.inMemory(on: server)
    server.simulate(.delaying(by: .milliseconds(400)))
    let task = server.startTask {
      try await locker.withLock("key") { _ in
        try await clock.sleep(for: .seconds(5))
      }
    }
    try await server.settle()
    #expect(server.lockedKeys == ["key"])  // The answer is under way.
    try await clock.advance(by: .milliseconds(5400))
    #expect(server.lockedKeys.isEmpty)  // So is that to the release.
    try await clock.advance(by: .milliseconds(400))
    try await task.value
  }

  @Test("A test waits for tasks of the code under test as the article shows")
  func foreignTasks() async throws {
    let server = InMemoryServer()
    let first = Locker.inMemory(on: server)
    let second = Locker.inMemory(on: server)
    let lock = try await first.acquire("billing")
    let worker = Task { try await second.withLock("billing") { _ in } }
    try await server.waitForTasks(waitingFor: "billing")
    try await lock.release()
    try await worker.value
  }

  @Test("A server in memory takes a lock away as the article shows")
  func loss() async throws {
    let server = InMemoryServer()
    let locker = Locker.inMemory(on: server)
    await #expect(throws: LockError.self) {
      try await locker.withLock("key") { lock in
        server.loseLock(on: "key")
        #expect(lock.lossReason == .deleted)
        try await Task.sleep(for: .seconds(60))  // Is cancelled.
      }
    }
  }

  @Test("A manual clock ends a lock as its documentation shows")
  func clock() async throws {
    let clock = ManualClock()
    let locker = Locker.inMemory(clock: clock)
    let lock = try await locker.acquire("key", options: .init(ttl: .seconds(30), extend: nil))
    try await clock.advance(by: .seconds(30))
    #expect(lock.lossReason == .expired)
  }
}
