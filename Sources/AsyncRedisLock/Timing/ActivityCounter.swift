/// Counts running work in lockers whose time a test sets, so that the test can wait until nothing runs.
///
/// A call runs from its beginning to its end, except while it is parked on a ``Promise``. It counts as running
/// again before the thread that keeps the promise goes on. Reports count until the program has received them.
/// Bodies of `withLock` use the counter as their executor, and count while they are not suspended.
package protocol ActivityCounter: TaskExecutor {
  /// Counts one more; may be called with mutexes locked, so it calls nothing.
  func begin()

  /// Counts one less; never called with a mutex locked.
  func end()
}
