import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("withLock", .timeLimit(.minutes(2)), .redisServer())
struct WithLockTests {
  /// Not `Sendable`; to be captured and returned.
  final class Counter {
    var count = 0
  }

  struct Failure: Error, Equatable {}

  static let quick = LockOptions(
    timeout: .seconds(5), ttl: .milliseconds(600), extend: .milliseconds(50))

  @Test("A call of withLock holds the lock while its body runs, and returns the body's value")
  func holds() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    let counter = Counter()
    let result = try await locker.withLock(key) { lock in
      #expect(lock.isHeld)
      #expect(lock.keys == [key])
      let other = try await locker.inspect(key)
      #expect(other?.holder.value == lock.token)
      counter.count += 1
      let result = Counter()
      result.count = 7
      return result
    }
    result.count += 1
    #expect(counter.count == 1 && result.count == 8)
    #expect(try await locker.inspect(key) == nil)
  }

  @Test("A call of withLock releases the lock when its body throws, and passes the error on")
  func throwsError() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    await #expect(throws: Failure()) {
      try await locker.withLock(key) { _ in throw Failure() }
    }
    #expect(try await locker.inspect(key) == nil)
  }

  @Test("A call of withLock that is cancelled cancels its body, and releases the lock")
  func cancelled() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    let entered = AsyncStream<Void>.makeStream()
    let task = Task {
      try await locker.withLock(key) { _ in
        entered.continuation.finish()
        try await Task.sleep(for: .seconds(60))
      }
    }
    for await _ in entered.stream {}
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(try await locker.inspect(key) == nil)
  }

  @Test(
    "If its lock is lost, a call of withLock cancels its body and throws lost",
    arguments: [nil, "theirs"])
  func lost(value: String?) async throws {
    let (locker, client, key) = (try await Locker(on: .current), RedisClient(.current), uniqueKey())
    await expectError(.lost) {
      try await locker.withLock(key, options: Self.quick) { lock in
        _ = try value.map { try client("SET", key, $0) } ?? client("DEL", key)
        try await Task.sleep(for: .seconds(60))
      }
    }
    #expect(try client("GET", key).string == value)
  }

  @Test("A call of withLock discards the value that its body returns after the loss")
  func valueAfterLoss() async throws {
    let (locker, client, key) = (try await Locker(on: .current), RedisClient(.current), uniqueKey())
    await expectError(.lost) {
      try await locker.withLock(key, options: Self.quick) { lock in
        _ = try client("DEL", key)
        try? await lock.waitUntilLost()
        return 7
      }
    }
    // The same holds if the loss shows only at the release.
    await expectError(.lost) {
      try await locker.withLock(key) { _ in
        _ = try client("DEL", key)
        return 7
      }
    }
  }

  @Test("A call of withLock passes on an error of its body that the loss did not cause")
  func errorAfterLoss() async throws {
    let (locker, client, key) = (try await Locker(on: .current), RedisClient(.current), uniqueKey())
    await #expect(throws: Failure()) {
      try await locker.withLock(key, options: Self.quick) { lock in
        _ = try client("DEL", key)
        try? await lock.waitUntilLost()
        throw Failure()
      }
    }
  }

  @Test("A body of withLock may release the lock early, undisturbed")
  func earlyRelease() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    let result = try await locker.withLock(key) { lock in
      try await lock.release()
      // By then, the same key is free for the same task.
      try await locker.withLock(key) { _ in }
      try await Task.sleep(for: .milliseconds(50))
      return Task.isCancelled
    }
    #expect(result == false)
  }

  @Test("A call of withLock throws instead of waiting for its own task, even through another lock")
  func deadlock() async throws {
    let locker = try await Locker(on: .current)
    let (first, second) = (uniqueKey("a"), uniqueKey("b"))
    let forEver = LockOptions(timeout: nil)
    try await locker.withLock(first, options: forEver) { _ in
      await expectError(.wouldDeadlock) {
        try await locker.withLock(first, options: forEver) { _ in }
      }
      try await locker.withLock(second, options: forEver) { _ in
        await expectError(.wouldDeadlock) {
          try await locker.withLock([first, second], options: forEver) { _ in }
        }
        await expectError(.wouldDeadlock) { try await locker.acquire(first, options: forEver) }
        let ran: Bool? = try await locker.withLockIfAvailable(first) { _ in true }
        #expect(ran == nil)
      }
    }
  }

  /// Counts the tasks of this size, made here one after the other, that seem to hold locks.
  private func countHolders<Value: Sendable>(returning value: Value) async -> Int {
    var count = 0
    for _ in 0..<20 {
      let (holds, _) = await Task { @concurrent in (!HeldLocks.current.isEmpty, value) }.value
      if holds { count += 1 }
    }
    return count
  }

  @Test("A task that a body has left behind holds nothing, whatever address it gets")
  func leftBehind() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    var mistakes = 0
    for _ in 0..<100 {
      let (hasEnded, end) = AsyncStream<Void>.makeStream()
      let leftBehind = try await locker.withLock(key) { _ in
        Task {
          for await _ in hasEnded {}
          // One of the tasks may get the memory of the body's task, if it has that size.
          return await countHolders(returning: ()) + countHolders(returning: 1)
            + countHolders(returning: "") + countHolders(returning: (1, 2, 3))
            + countHolders(returning: ("", "", ""))
        }
      }
      end.finish()
      mistakes += await leftBehind.value
    }
    #expect(mistakes == 0)
  }

  @Test("For withLock, another database or a key that only looks the same is not a deadlock")
  func noDeadlock() async throws {
    let (locker, elsewhere) = (
      try await Locker(on: .current), try await Locker(on: .current) { $0.database = 1 }
    )
    let key = uniqueKey("é")
    try await locker.withLock(key) { _ in
      try await elsewhere.withLock(key) { _ in }
      // The same letter from two scalars: different bytes for the server.
      try await locker.withLock("e\u{301}" + key.dropFirst()) { _ in }
    }
  }

  @Test("A call of withLock makes another task wait, even one that its body has started")
  func otherTask() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    let order = Recorder<Int>()
    let task = try await locker.withLock(key) { _ in
      let task = Task {
        try await locker.withLock(key, options: LockOptions(timeout: .seconds(9))) { _ in
          order.record(2)
        }
      }
      await eventually { locker.waiterCount(of: key) == 1 }
      order.record(1)
      return task
    }
    try await task.value
    #expect(order.values == [1, 2])
  }

  @Test("A call of withLockIfAvailable does not run its body while the lock is held")
  func ifAvailable() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    let lock = try await locker.acquire(key)
    let refused: Int? = try await locker.withLockIfAvailable(key) { _ in 7 }
    #expect(refused == nil)
    try await lock.release()
    let granted: Int? = try await locker.withLockIfAvailable(key) { _ in 7 }
    #expect(granted == 7)
    let both: Int? = try await locker.withLockIfAvailable([key, uniqueKey()]) { $0.keys.count }
    #expect(both == 2)
  }

  // MARK: Isolation

  @TaskLocal static var mark = 0

  @MainActor
  @Test("A call of withLock on the main actor runs its body there")
  func mainActor() async throws {
    let (locker, counter) = (try await Locker(on: .current), Counter())
    let result = try await Self.$mark.withValue(3) {
      try await locker.withLock(uniqueKey()) { _ in
        MainActor.assertIsolated()
        await Task.yield()
        MainActor.assertIsolated()
        counter.count += Self.mark
        return counter.count
      }
    }
    #expect(result == 3 && counter.count == 3)
  }

  actor Account {
    var balance = 0

    func deposit(_ locker: Locker, _ key: String) async throws -> Int {
      try await locker.withLock(key) { _ in
        self.assertIsolated()
        balance += 1
        await Task.yield()
        self.assertIsolated()
        return balance
      }
    }
  }

  @Test("A call of withLock on an actor runs its body there")
  func anotherActor() async throws {
    let account = Account()
    #expect(try await account.deposit(Locker(on: .current), uniqueKey()) == 1)
  }

  @Test("A call of withLock outside of actors runs its body off every actor")
  nonisolated func nonisolatedBody() async throws {
    let locker = try await Locker(on: .current)
    let isolation = try await locker.withLock(uniqueKey()) { _ in #isolation == nil }
    #expect(isolation)
  }
}
