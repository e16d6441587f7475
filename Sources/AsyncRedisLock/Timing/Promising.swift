internal import Synchronization

/// A value that arrives later, once; any number of tasks can await it.
///
/// Cancelling a task does not end its wait: the promising side has to keep the promise. This is a protocol so that
/// promises that are awaited often can be classes of their own. For a generic class, the runtime looks up how to
/// destroy the fields each time.
package protocol Promising<Value>: AnyObject, Sendable {
  associatedtype Value: Sendable

  /// Reads or changes the state, under its mutex.
  func withPromise<Result: Sendable>(_ body: (inout PromiseState<Value>) -> Result) -> Result
}

/// The part of a promise that its mutex protects.
///
/// It has separate fields instead of an enum's cases, because copying and destroying an enum with a generic
/// payload cost more than all the rest.
package struct PromiseState<Value: Sendable> {
  fileprivate struct Waiter: Sendable {
    let continuation: PromiseContinuation<Value>
    let activity: (any ActivityCounter)?
  }

  fileprivate var value: Value?
  /// Usually there is one waiter, which needs no array.
  fileprivate var waiter: Waiter?
  fileprivate var others: [Waiter] = []

  package init() {}
}

#if DEBUG
  /// Traps in a program that resumes it twice, and warns if it never does.
  private typealias PromiseContinuation<Value> = CheckedContinuation<Value, Never>
#else
  /// Unchecked, because the check costs an allocation; tests run in debug builds.
  @safe private struct PromiseContinuation<Value: Sendable> {
    let continuation: UnsafeContinuation<Value, Never>

    func resume(returning value: Value) { unsafe continuation.resume(returning: value) }
  }
#endif

extension Promising {
  /// The value, as soon as it is there.
  package var value: Value { get async { await value(countedBy: nil) } }

  /// The value, as soon as it is there; the awaiting call does not count as running meanwhile.
  package func value(countedBy activity: (any ActivityCounter)?) async -> Value {
    // A task that has served itself has the value by now.
    if let value = withPromise({ $0.value }) { return value }
    // A continuation resumes the waiting task on its executor. That may be the program's own and may block, on the
    // thread that keeps the promise. So only Swift's own executor waits.
    if Task.hasExecutorPreference {
      return await withTaskExecutorPreference(globalConcurrentExecutor) { await wait(activity) }
    } else {
      return await wait(activity)
    }
  }

  @concurrent private func wait(_ activity: (any ActivityCounter)?) async -> Value {
    #if DEBUG
      await withCheckedContinuation { add($0, activity) }
    #else
      await unsafe withUnsafeContinuation { continuation in
        unsafe add(PromiseContinuation(continuation: continuation), activity)
      }
    #endif
  }

  private func add(
    _ continuation: PromiseContinuation<Value>, _ activity: (any ActivityCounter)?
  ) {
    let kept: Value? = withPromise { state in
      if let value = state.value { return value }
      let waiter = PromiseState<Value>.Waiter(continuation: continuation, activity: activity)
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
      // The task may be running again by now; it was counted before it resumed.
      activity?.end()
    }
  }

  /// Whether the value is there.
  var isKept: Bool { withPromise { $0.value != nil } }

  /// Hands the value to all present and future waiters; only the first value counts.
  ///
  /// - Returns: Whether this was the first.
  @discardableResult
  package func fulfil(_ value: Value) -> Bool {
    let (isFirst, waiter, others) = withPromise {
      state -> (Bool, PromiseState<Value>.Waiter?, [PromiseState<Value>.Waiter]) in
      guard state.value == nil else { return (false, nil, []) }
      state.value = value
      var others: [PromiseState<Value>.Waiter] = []
      swap(&others, &state.others)
      state.waiter?.activity?.begin()
      for waiter in others { waiter.activity?.begin() }
      return (true, state.waiter.take(), others)
    }
    waiter?.continuation.resume(returning: value)
    for waiter in others { waiter.continuation.resume(returning: value) }
    return isFirst
  }
}
