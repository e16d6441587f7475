internal import AsyncRedisLock
internal import Dispatch
internal import Synchronization

/// Counts running work in the lockers of a server, or of all servers with the same clock.
///
/// A test can wait until nothing runs.
///
/// As an executor, it counts each task from the moment the task is resumed until it is suspended again.
final class Activity: ActivityCounter {
  private struct State {
    var running = 0
    /// How often work has begun or ended.
    var changes = 0
    var settlers: [Signal] = []
  }

  private let state = Locked(State())

  func begin() {
    state.withLock { state in
      state.running += 1
      state.changes += 1
    }
  }

  func end() {
    let settlers = state.withLock { state in
      state.running -= 1
      state.changes += 1
      guard state.running == 0 else { return [Signal]() }
      defer { state.settlers = [] }
      return state.settlers
    }
    for settler in settlers { settler.fire() }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    begin()
    let job = UnownedJob(job)
    DispatchQueue.global().async { @Sendable [self] in
      unsafe job.runSynchronously(on: asUnownedTaskExecutor())
      end()
    }
  }

  /// Waits until nothing runs, and something has run since there were `seen` changes.
  ///
  /// - Returns: How often work has begun or ended.
  @discardableResult
  func settle(after seen: Int? = nil) async throws(CancellationError) -> Int {
    let signal = Signal()
    let changes: Int? = state.withLock { state in
      if state.running == 0, state.changes != seen { return state.changes }
      state.settlers.append(signal)
      return nil
    }
    if let changes { return changes }
    defer { state.withLock { state in state.settlers.removeAll { $0 === signal } } }
    try await signal.wait()
    return state.withLock { $0.changes }
  }

  /// Whether nothing runs, and nothing has run since there were `seen` changes.
  func isSettled(since seen: Int) -> Bool {
    state.withLock { $0.running == 0 && $0.changes == seen }
  }
}
