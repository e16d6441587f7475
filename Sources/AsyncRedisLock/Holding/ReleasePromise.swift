internal import Synchronization

/// The outcome of giving a lease's keys back, as soon as there is one.
final class ReleasePromise: Promising {
  typealias Value = Result<ReleaseOutcome, StoreFailure>

  private let state = Locked(PromiseState<Value>())

  func withPromise<Result: Sendable>(_ body: (inout PromiseState<Value>) -> Result) -> Result {
    state.withLock { body(&$0) }
  }
}
