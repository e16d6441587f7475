extension Task where Success == Never, Failure == Never {
  /// Whether the current task prefers an executor of the program, such as an event loop, to Swift's own threads.
  static var hasExecutorPreference: Bool {
    unsafe withUnsafeCurrentTask { task in unsafe task?.unownedTaskExecutor != nil }
  }

  /// Whether the current task runs where the program can hold it up: on an executor that it prefers, such as an event
  /// loop, or on the few threads of a priority below the default, of which others may block every one.
  ///
  /// A function that is not of an actor runs there, also with `@concurrent`. What others wait for must not.
  static var canBeHeldUp: Bool {
    unsafe withUnsafeCurrentTask { task in
      guard let task = unsafe task else { return false }
      return unsafe task.unownedTaskExecutor != nil || task.priority < .medium
    }
  }

  /// Does something on Swift's own threads of high priority, whatever the current task runs on.
  ///
  /// In a task of its own: to move the current one there, also by `withTaskExecutorPreference`, takes a turn of the
  /// executor that it is on, which may be blocked by then.
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
