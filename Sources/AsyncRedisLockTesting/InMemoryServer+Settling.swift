extension InMemoryServer {
  /// Starts a task that ``settle()`` waits for, also before its first call and between its calls.
  ///
  /// The task counts as running from now on, except while it is suspended: in a waiting call, on a
  /// ``ManualClock``, or anywhere else. Its child tasks count, too. On an actor with an executor of its own, such
  /// as the main actor, only its calls on a locker count.
  ///
  /// ```swift
  /// let attempt = server.startTask { try await locker.acquire("key") }
  /// try await server.settle()  // The attempt waits for the lock now, or has ended.
  /// ```
  ///
  /// - Parameter operation: What the task does.
  /// - Returns: The task.
  public func startTask<Success: Sendable>(
    _ operation: @escaping @Sendable () async throws -> Success
  ) -> Task<Success, any Error> {
    Task(executorPreference: activity) { try await operation() }
  }

  /// Waits until only time, a release, or an answer can make anything happen in the lockers of this server.
  ///
  /// Every call in progress is then parked: until an instant, a grant, or a delayed answer. Every body of a
  /// `withLock` and every task of ``startTask(_:)`` is suspended or has ended, and the logger has every message.
  /// Lockers on other servers with the same ``ManualClock`` count, too.
  ///
  /// A task that was started differently may not have made its call yet; ``waitForTasks(_:waitingFor:)`` waits for
  /// that. What such a task does between two calls is not counted.
  ///
  /// - Throws: `CancellationError` if the task is cancelled.
  public func settle() async throws(CancellationError) { try await activity.settle() }

  /// Waits until at least so many tasks wait for a key, and settles.
  ///
  /// Use it for tasks that the code under test starts; for others, use ``startTask(_:)``.
  ///
  /// - Parameters:
  ///   - count: How many tasks.
  ///   - key: The key, alone or among other keys of a call.
  /// - Throws: `CancellationError` if the task is cancelled.
  public func waitForTasks(
    _ count: Int = 1, waitingFor key: String
  ) async throws(CancellationError) {
    var seen: Int?
    while true {
      let changes = try await activity.settle(after: seen)
      // A task that has arrived since then may not be parked yet.
      if taskCount(waitingFor: key) >= count, activity.isSettled(since: changes) { return }
      seen = changes
    }
  }
}
