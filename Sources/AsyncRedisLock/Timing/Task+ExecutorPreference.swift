extension Task where Success == Never, Failure == Never {
  /// Whether the current task prefers an executor of the program, such as an event loop, to Swift's own threads.
  ///
  /// A function that is not of an actor runs there, also with `@concurrent`. What others wait for must not: that
  /// executor may be blocked.
  static var hasExecutorPreference: Bool {
    unsafe withUnsafeCurrentTask { task in unsafe task?.unownedTaskExecutor != nil }
  }

  /// Does something on Swift's own threads, whatever executor the current task prefers.
  ///
  /// In a task of its own: to move the current one there, also by `withTaskExecutorPreference`, takes a turn of the
  /// executor that it is on, which may be blocked by then.
  static func outsidePreferredExecutor<Value>(
    _ body: @escaping @Sendable () async throws -> Value
  ) -> Task<Value, any Error> {
    Task<Value, any Error>(executorPreference: globalConcurrentExecutor) { try await body() }
  }
}
