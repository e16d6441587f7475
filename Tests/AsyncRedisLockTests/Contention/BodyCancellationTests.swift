import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

/// A body is cancelled when its lock ends, whatever the program does with its threads.
@Suite("The cancellation of a body", .redisServer(), .timeLimit(.minutes(1)))
struct BodyCancellationTests {
  /// Options with frequent extensions and a long ttl: an earlier report of the end comes from the server.
  private static let options = LockOptions(
    retry: .seconds(20), timeout: .seconds(20), ttl: .seconds(20), extend: .milliseconds(200))

  /// Runs each job at once, on the thread that adds it.
  private final class InlineExecutor: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
      unsafe UnownedJob(job).runSynchronously(on: asUnownedTaskExecutor())
    }
  }

  @Test(
    "A loss and a close cancel a body that goes on at once, on the thread that cancels it",
    arguments: [true, false])
  func inlineExecutor(isLost: Bool) async throws {
    let (locker, key, hasBegun) = (try await Locker(), uniqueKey(), Shared(false))
    let working = Task(executorPreference: InlineExecutor()) {
      try await locker.withLock(key, options: Self.options) { _ in
        hasBegun.value = true
        try await Task.sleep(for: .seconds(100))
      }
    }
    await eventually { hasBegun.value }
    if isLost { _ = try RedisClient(.current)("DEL", key) } else { await locker.close() }
    await expectError(isLost ? .lost : .closed) { try await working.value }
  }

  @Test("Bodies that keep all threads of the pool busy are cancelled when their locks are lost")
  func busyBodies() async throws {
    let (locker, hasBegun, cancelled) = (try await Locker(), Shared(0), Shared(0))
    let keys = (0..<ProcessInfo.processInfo.activeProcessorCount).map { _ in uniqueKey() }
    let client = RedisClient(.current)
    Thread.detachNewThread {
      while hasBegun.value < keys.count { Thread.sleep(forTimeInterval: 0.001) }
      _ = try? client(words: ["DEL"] + keys)
    }
    await withTaskGroup { group in
      for key in keys {
        group.addTask {
          try? await locker.withLock(key, options: Self.options) { _ in
            hasBegun.change { $0 += 1 }
            let limit = ContinuousClock.now + .seconds(15)
            while !Task.isCancelled, ContinuousClock.now < limit {}
            if Task.isCancelled { cancelled.change { $0 += 1 } }
          }
        }
      }
    }
    #expect(cancelled.value == keys.count)
    await locker.close()
  }

  @Test(
    "A cancellation handler that blocks holds up no other call",
    .enabled("Swift has one thread here.") { ProcessInfo.processInfo.activeProcessorCount > 1 })
  func cancellationHandler() async throws {
    let (locker, key, gate, hasBegun) = (try await Locker(), uniqueKey(), Gate(), Shared(false))
    defer { gate.open() }
    let working = Task {
      try await locker.withLock(key, options: Self.options) { _ in
        try await withTaskCancellationHandler {
          hasBegun.value = true
          try await Task.sleep(for: .seconds(100))
        } onCancel: {
          gate.pass()
        }
      }
    }
    await eventually { hasBegun.value }
    _ = try RedisClient(.current)("DEL", key)
    await eventually("the handler blocks") { gate.count == 1 }
    for _ in 0..<20 { try await locker.acquire(uniqueKey()).release() }
    gate.open()
    await expectError(.lost) { try await working.value }
    await locker.close()
  }
}
