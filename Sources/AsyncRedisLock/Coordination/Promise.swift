internal import Synchronization

/// A value that comes later, once, and is awaited by any number of tasks.
///
/// Waiting does not end when a task is cancelled: whoever promises has to keep the promise.
final class Promise<Value: Sendable>: Sendable {
  private enum State {
    case pending([CheckedContinuation<Value, Never>])
    case kept(Value)
  }

  private let state = Mutex(State.pending([]))

  /// The value, as soon as it is there.
  var value: Value {
    get async {
      await withCheckedContinuation { continuation in
        let kept: Value? = state.withLock { state in
          switch state {
          case .kept(let value): return value
          case .pending(let waiters):
            state = .pending(waiters + [continuation])
            return nil
          }
        }
        if let kept { continuation.resume(returning: kept) }
      }
    }
  }

  /// Hands the value to all who wait and will wait; only the first value counts.
  func fulfil(_ value: Value) {
    let waiters: [CheckedContinuation<Value, Never>] = state.withLock { state in
      guard case .pending(let waiters) = state else { return [] }
      state = .kept(value)
      return waiters
    }
    for waiter in waiters { waiter.resume(returning: value) }
  }
}
