extension Task where Success == Never, Failure == Never {
  /// Whether the current task prefers an executor of the program, such as an event loop, to Swift's own threads.
  static var hasExecutorPreference: Bool {
    unsafe withUnsafeCurrentTask { task in unsafe task?.unownedTaskExecutor != nil }
  }

  /// Whether the current task runs where the program can hold it up.
  ///
  /// That is on an executor that it prefers, such as an event loop. It is also on the few threads of a priority
  /// below the default, since other tasks may block all of them.
  ///
  /// A function that belongs to no actor runs there, too, even with `@concurrent`. Work that other tasks wait for
  /// must not.
  static var canBeHeldUp: Bool {
    unsafe withUnsafeCurrentTask { task in
      guard let task = unsafe task else { return false }
      return unsafe task.unownedTaskExecutor != nil || task.priority < .medium
    }
  }

  /// Runs an operation on Swift's own threads of high priority, wherever the current task runs.
  ///
  /// It runs in a task of its own. To move the current task there, also by `withTaskExecutorPreference`, would
  /// take a turn of its present executor, which may be blocked by then.
  static func outOfReach<Value: Sendable>(
    _ body: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    let task = Task<Value, any Error>(
      executorPreference: globalConcurrentExecutor, priority: .high, operation: body)
    return try await withTaskCancellationHandler {
      try await task.value
    } onCancel: {
      task.cancel()
    }
  }
}
