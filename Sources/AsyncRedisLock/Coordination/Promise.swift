internal import Synchronization

/// A value that comes later, once, and is awaited by any number of tasks.
///
/// Waiting does not end when a task is cancelled: whoever promises has to keep the promise.
final class Promise<Value: Sendable>: Sendable {
  private enum State {
    case pending
    /// One waiter is the rule, and needs no array.
    case awaited(CheckedContinuation<Value, Never>, others: [CheckedContinuation<Value, Never>])
    case kept(Value)
  }

  private let state = Mutex(State.pending)

  /// The value, as soon as it is there.
  var value: Value {
    get async {
      await withCheckedContinuation { continuation in
        let kept: Value? = state.withLock { state in
          switch state {
          case .kept(let value): return value
          case .pending:
            state = .awaited(continuation, others: [])
            return nil
          case .awaited(let first, let others):
            state = .awaited(first, others: others + [continuation])
            return nil
          }
        }
        if let kept { continuation.resume(returning: kept) }
      }
    }
  }

  /// Whether the value is there.
  var isKept: Bool {
    state.withLock { if case .kept = $0 { true } else { false } }
  }

  /// Hands the value to all who wait and will wait; only the first value counts.
  ///
  /// - Returns: whether this was the first.
  @discardableResult
  func fulfil(_ value: Value) -> Bool {
    let former = state.withLock { state in
      let former = state
      if case .kept = former {} else { state = .kept(value) }
      return former
    }
    switch former {
    case .kept: return false
    case .pending: return true
    case .awaited(let first, let others):
      first.resume(returning: value)
      for waiter in others { waiter.resume(returning: value) }
      return true
    }
  }
}
