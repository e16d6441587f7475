extension Task where Success == Never, Failure == Never {
  /// Whether the current task prefers an executor of the program, such as an event loop, to Swift's own threads.
  ///
  /// A function that is not of an actor runs there, also with `@concurrent`. What others wait for must not: that
  /// executor may be blocked. `withTaskExecutorPreference(globalConcurrentExecutor)` keeps it away.
  static var hasExecutorPreference: Bool {
    unsafe withUnsafeCurrentTask { task in unsafe task?.unownedTaskExecutor != nil }
  }
}
