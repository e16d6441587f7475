internal import Synchronization

/// A value that comes later, once, and is awaited by any number of tasks.
///
/// Waiting does not end when a task is cancelled: whoever promises has to keep the promise.
package final class Promise<Value: Sendable>: Sendable {
  private struct Waiter {
    let continuation: CheckedContinuation<Value, Never>
    let activity: (any ActivityCounter)?
  }

  /// Fields of their own instead of an enum's cases: copying and destroying one with a generic payload
  /// cost more than all the rest.
  private struct State {
    var value: Value?
    /// One waiter is the rule, and needs no array.
    var waiter: Waiter?
    var others: [Waiter] = []
  }

  private let state = Locked(State())

  package init() {}

  /// The value, as soon as it is there.
  package var value: Value { get async { await value(countedBy: nil) } }

  /// The value, as soon as it is there, awaited by a call that does not count as running meanwhile.
  package func value(countedBy activity: (any ActivityCounter)?) async -> Value {
    // A continuation calls the waiting task's executor, which may be the program's own and may block, on the
    // thread that keeps the promise. So the waiting is done by no executor but Swift's.
    if Task.hasExecutorPreference {
      await withTaskExecutorPreference(globalConcurrentExecutor) { await wait(activity) }
    } else {
      await wait(activity)
    }
  }

  @concurrent private func wait(_ activity: (any ActivityCounter)?) async -> Value {
    await withCheckedContinuation { continuation in
      let kept: Value? = state.withLock { state in
        if let value = state.value { return value }
        let waiter = Waiter(continuation: continuation, activity: activity)
        if state.waiter == nil {
          state.waiter = waiter
        } else {
          state.others.append(waiter)
        }
        return nil
      }
      if let kept {
        continuation.resume(returning: kept)
      } else {
        // The task may be running again by now; then it has been counted for that before.
        activity?.end()
      }
    }
  }

  /// Whether the value is there.
  var isKept: Bool { state.withLock { $0.value != nil } }

  /// Hands the value to all who wait and will wait; only the first value counts.
  ///
  /// - Returns: whether this was the first.
  @discardableResult
  package func fulfil(_ value: Value) -> Bool {
    var others: [Waiter] = []
    let (isFirst, first): (Bool, Waiter?) = state.withLock { state in
      guard state.value == nil else { return (false, nil) }
      state.value = value
      swap(&others, &state.others)
      state.waiter?.activity?.begin()
      for waiter in others { waiter.activity?.begin() }
      return (true, state.waiter.take())
    }
    first?.continuation.resume(returning: value)
    for waiter in others { waiter.continuation.resume(returning: value) }
    return isFirst
  }
}
