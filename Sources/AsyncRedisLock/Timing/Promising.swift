internal import Synchronization

/// What comes later, once, and is awaited by any number of tasks.
///
/// Waiting does not end when a task is cancelled: whoever promises has to keep the promise. A protocol, so that what is
/// awaited often is a class of its own: the runtime looks up how to destroy the fields of a generic one each time.
package protocol Promising<Value>: AnyObject, Sendable {
  associatedtype Value: Sendable

  /// Looks at the state, or changes it, under its mutex.
  func withPromise<Result: Sendable>(_ body: (inout PromiseState<Value>) -> Result) -> Result
}

/// What a promise keeps under its mutex.
///
/// Fields of their own instead of an enum's cases: copying and destroying one with a generic payload
/// cost more than all the rest.
package struct PromiseState<Value: Sendable> {
  fileprivate struct Waiter: Sendable {
    let continuation: PromiseContinuation<Value>
    let activity: (any ActivityCounter)?
  }

  fileprivate var value: Value?
  /// One waiter is the rule, and needs no array.
  fileprivate var waiter: Waiter?
  fileprivate var others: [Waiter] = []

  package init() {}
}

#if DEBUG
  /// Stops a program that resumes it twice, or never.
  private typealias PromiseContinuation<Value> = CheckedContinuation<Value, Never>
#else
  /// Without a check, which costs an allocation: tests run built for debugging.
  @safe private struct PromiseContinuation<Value: Sendable> {
    let continuation: UnsafeContinuation<Value, Never>

    func resume(returning value: Value) { unsafe continuation.resume(returning: value) }
  }
#endif

extension Promising {
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
      // The task may be running again by now; then it has been counted for that before.
      activity?.end()
    }
  }

  /// Whether the value is there.
  var isKept: Bool { withPromise { $0.value != nil } }

  /// Hands the value to all who wait and will wait; only the first value counts.
  ///
  /// - Returns: whether this was the first.
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
