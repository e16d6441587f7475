import AsyncRedisLock
import InMemoryLogging
import Logging
import Testing

@testable import AsyncRedisLockTesting

@Suite("Settling and advancing in memory", .timeLimit(.minutes(5)))
struct SettlingTests {
  private let clock = ManualClock()
  private let server: InMemoryServer
  private let delay = Duration.milliseconds(400)

  init() { server = InMemoryServer(clock: clock) }

  /// Runs a body while all threads of Swift's pool are busy.
  private func underLoad(_ body: () async throws -> Void) async throws {
    let isOver = Shared(false)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<4 {
        group.addTask {
          while !isOver.value {
            let end = ContinuousClock.now + .microseconds(20 * (index + 1))
            while ContinuousClock.now < end {}
            await Task.yield()
          }
        }
      }
      defer { isOver.value = true }
      try await body()
    }
  }

  @Test("A delayed acquire under load always ends when its delay has been advanced")
  func delayedAcquire() async throws {
    let locker = Locker.inMemory(on: server)
    server.simulate(.delaying(by: delay))
    try await underLoad {
      for _ in 0..<10_000 {
        let attempt = server.startTask { try await locker.acquire("key") }
        try await server.settle()
        try await clock.advance(by: delay)
        let lock = try await attempt.value
        let release = server.startTask { try await lock.release() }
        try await clock.advance(by: delay)
        #expect(try await release.value == .released)
      }
    }
  }

  @Test("Settling waits until tasks that the code under test starts are parked")
  func foreignTasks() async throws {
    let (first, second) = (Locker.inMemory(on: server), Locker.inMemory(on: server))
    server.simulate(.delaying(by: delay), for: second)
    try await underLoad {
      for round in 0..<500 {
        let keys = ["key \(round)", "other \(round)"]
        let attempts = [keys, [keys[0]], keys].map { keys in
          Task {
            try await second.withLock(keys, options: LockOptions(timeout: nil)) { _ in }
          }
        }
        try await server.waitForTasks(3, waitingFor: keys[0])
        // One task may try its keys while the other has the first of them.
        try await clock.advance(by: .seconds(10))
        for attempt in attempts { try await attempt.value }
        #expect(server.taskCount(waitingFor: keys[0]) == 0)
        try await first.acquire(keys[0]).release()
      }
    }
  }

  @Test("Bodies that sleep on the clock follow each other at the exact instants")
  func bodies() async throws {
    let lockers = (0..<3).map { _ in Locker.inMemory(on: server) }
    try await underLoad {
      for _ in 0..<300 {
        let (start, ends) = (clock.now, Recorder<Duration>())
        let tasks = lockers.map { locker in
          server.startTask { [clock] in
            for _ in 0..<2 {
              try await locker.withLock("key", options: LockOptions(timeout: nil)) { _ in
                try await clock.sleep(for: .seconds(1))
                ends.record(start.duration(to: clock.now))
              }
            }
          }
        }
        try await clock.advance(by: .seconds(6))
        #expect(ends.values == (1...6).map { .seconds($0) })
        #expect(server.lockedKeys.isEmpty)
        for task in tasks { try await task.value }
      }
    }
  }

  @Test("Every kind of call is counted until it is parked", arguments: Call.allCases)
  func kinds(call: Call) async throws {
    let (locker, other) = (Locker.inMemory(on: server), Locker.inMemory(on: server))
    let delay = delay
    try await underLoad {
      for _ in 0..<100 {
        let lock = try await locker.acquire("held")
        server.simulate(.delaying(by: delay))
        let task = server.startTask { try await call.make(other, lock) }
        try await server.settle()
        if call == .waitUntilLost { server.loseLock(on: "held") }
        try await clock.advance(by: delay * call.answerCount)
        try await task.value
        server.simulate(.none)
        _ = try await locker.forceRelease("held")
        _ = try await locker.forceRelease("free")
        withExtendedLifetime(lock) {}
      }
    }
    // If the count were not balanced, this would not end.
    try await server.settle()
    #expect(server.activity.isSettled(since: try await server.activity.settle()))
  }

  @Test("Calls that fail, are cancelled, or meet a closed locker are also counted down")
  func failing() async throws {
    let (locker, other) = (Locker.inMemory(on: server), Locker.inMemory(on: server))
    let lock = try await other.acquire("key")
    await expectError(.invalidKey) { try await locker.acquire("") }
    let late = server.startTask { try await locker.acquire("key") }
    try await clock.advance(by: .seconds(1))
    await expectError(.timeout) { try await late.value }
    #expect(try await locker.withLockIfAvailable("key") { _ in } == nil)
    let waiting = server.startTask {
      try await locker.withLock("key", options: LockOptions(timeout: nil)) { _ in }
    }
    try await server.settle()
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    struct Failure: Error {}
    await #expect(throws: Failure.self) {
      try await locker.withLock("own") { _ in throw Failure() }
    }
    try await server.settle()
    let closing = server.startTask { try await other.closeWhenReleased() }
    try await server.settle()
    try await lock.release()
    try await closing.value
    await locker.close()
    await expectError(.closed) { try await locker.withLock("key") { _ in } }
    await expectError(.closed) { try await other.acquireIfAvailable("key") }
    #expect(server.activity.isSettled(since: try await server.activity.settle()))
  }

  @Test("If a body's lock is taken away, the body is cancelled by the time the server has settled")
  func cancelledBody() async throws {
    let locker = Locker.inMemory(on: server)
    for _ in 0..<500 {
      let (begun, cancelled) = (Shared(false), Shared(false))
      let task = server.startTask { [clock] in
        try await locker.withLock("key") { _ in
          begun.value = true
          try? await clock.sleep(for: .seconds(60))
          cancelled.value = Task.isCancelled
        }
      }
      try await server.settle()
      #expect(begun.value && !cancelled.value)
      server.loseLock(on: "key")
      try await server.settle()
      #expect(cancelled.value)
      await #expect(throws: LockError.self) { try await task.value }
    }
  }

  @Test("A call that retries sends its requests at the instants it has chosen")
  func retrying() async throws {
    let locker = Locker.inMemory(on: server)
    server.simulate(.refusing("LOADING", isTransient: true))
    let attempt = server.startTask {
      try await locker.acquire("key", options: LockOptions(timeout: nil))
    }
    try await clock.advance(by: .seconds(5))
    server.simulate(.none)
    let start = clock.now
    try await clock.advance(by: .seconds(5))
    // Held since the first retry, and extended since then.
    let lock = try await attempt.value
    #expect(start.duration(to: clock.now) == .seconds(5))
    #expect(lock.isHeld && lock.remaining > .seconds(1))
  }

  @Test("A lost lock is logged by the time the clock has been advanced")
  func reports() async throws {
    for _ in 0..<500 {
      let handler = InMemoryLogHandler()
      let locker = Locker.inMemory(on: server, logger: Logger(label: "test") { _ in handler })
      let lock = try await locker.acquire("key", options: LockOptions(extend: nil))
      try await clock.advance(by: .seconds(3))
      #expect(lock.lossReason == .expired)
      #expect(handler.entries.contains { $0.level == .warning })
    }
  }

  @Test("Concurrent advances add up, and each handles everything that is due")
  func concurrentAdvances() async throws {
    let start = clock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<20 {
        group.addTask { [clock] in
          for _ in 0..<50 { try await clock.advance(by: .milliseconds(1)) }
        }
      }
      try await group.waitForAll()
    }
    #expect(start.duration(to: clock.now) == .seconds(1))
  }

  @Test("Settling, advancing and waiting for tasks end when the test is cancelled")
  func cancelling() async throws {
    server.activity.begin()
    defer { server.activity.end() }
    let tasks = [
      Task { try await server.settle() },
      Task { try await clock.advance(by: .seconds(1)) },
      Task { try await server.waitForTasks(waitingFor: "key") },
    ]
    for task in tasks {
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
    }
    #expect(clock.now.offset == .zero)
  }

  @Test("A server on the machine's time settles as well")
  func machineTime() async throws {
    let server = InMemoryServer()
    let (first, second) = (Locker.inMemory(on: server), Locker.inMemory(on: server))
    for _ in 0..<500 {
      let lock = try await first.acquire("key")
      let waiting = server.startTask {
        try await second.acquire("key", options: LockOptions(timeout: nil))
      }
      try await server.settle()
      #expect(try await first.inspect("key")?.waiterCount == 1)
      try await lock.release()
      #expect(try await waiting.value.release() == .released)
    }
  }
}

extension SettlingTests {
  /// A call on a locker or a lock.
  enum Call: CaseIterable {
    case acquire, acquireIfAvailable, withLock, withLockIfAvailable, inspect, forceRelease
    case extend, release, waitUntilLost, waitUntilLostWithin, detach, adopt

    /// The number of answers it waits for.
    var answerCount: Int {
      switch self {
      case .waitUntilLost, .waitUntilLostWithin: 0
      case .withLock, .adopt: 2
      default: 1
      }
    }

    /// Makes the call; `held` is a lock of another locker.
    func make(_ other: Locker, _ held: Lock) async throws {
      switch self {
      case .acquire: _ = try await other.acquire("free")
      case .acquireIfAvailable: #expect(try await other.acquireIfAvailable("held") == nil)
      case .withLock: try await other.withLock("free") { _ in }
      case .withLockIfAvailable:
        #expect(try await other.withLockIfAvailable("held") { _ in } == nil)
      case .inspect: #expect(try await other.inspect("held") != nil)
      case .forceRelease: #expect(try await other.forceRelease("held") != nil)
      case .extend: try await held.extend(by: .seconds(10))
      case .release: try await held.release()
      case .waitUntilLost: try await held.waitUntilLost()
      case .waitUntilLostWithin: try await held.waitUntilLost(within: .seconds(60))
      case .detach: _ = try await held.detach()
      case .adopt: _ = try await other.adopt(held.detach())
      }
    }
  }
}
