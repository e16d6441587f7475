internal import Synchronization

/// A value that comes later, once, and is awaited by any number of tasks.
///
/// Waiting does not end when a task is cancelled: whoever promises has to keep the promise.
package final class Promise<Value: Sendable>: Sendable {
  private typealias Continuation = CheckedContinuation<Value, Never>

  /// Fields of their own instead of an enum's cases: copying and destroying one with a generic payload
  /// cost more than all the rest.
  private struct State {
    var value: Value?
    /// One waiter is the rule, and needs no array.
    var waiter: Continuation?
    var others: [Continuation] = []
  }

  private let state = Mutex(State())

  package init() {}

  /// The value, as soon as it is there.
  package var value: Value {
    get async {
      // A continuation calls the waiting task's executor, which may be the program's own and may block, on the
      // thread that keeps the promise. So the waiting is done by no executor but Swift's.
      if unsafe withUnsafeCurrentTask(body: { task in unsafe task?.unownedTaskExecutor != nil }) {
        await withTaskExecutorPreference(globalConcurrentExecutor) { await wait() }
      } else {
        await wait()
      }
    }
  }

  @concurrent private func wait() async -> Value {
    await withCheckedContinuation { continuation in
      let kept: Value? = state.withLock { state in
        if let value = state.value { return value }
        if state.waiter == nil {
          state.waiter = continuation
        } else {
          state.others.append(continuation)
        }
        return nil
      }
      if let kept { continuation.resume(returning: kept) }
    }
  }

  /// Whether the value is there.
  var isKept: Bool { state.withLock { $0.value != nil } }

  /// Hands the value to all who wait and will wait; only the first value counts.
  ///
  /// - Returns: whether this was the first.
  @discardableResult
  package func fulfil(_ value: Value) -> Bool {
    var others: [Continuation] = []
    let (isFirst, first): (Bool, Continuation?) = state.withLock { state in
      guard state.value == nil else { return (false, nil) }
      state.value = value
      swap(&others, &state.others)
      return (true, state.waiter.take())
    }
    first?.resume(returning: value)
    for waiter in others { waiter.resume(returning: value) }
    return isFirst
  }
}

extension Promise where Value == Bool {
  /// Waits for the promise, or for the task's cancellation.
  ///
  /// - Throws: `CancellationError` when the task is cancelled first.
  package func wait() async throws(CancellationError) {
    let isKept = await withTaskCancellationHandler {
      await value
    } onCancel: {
      fulfil(false)
    }
    if !isKept { throw CancellationError() }
  }
}
