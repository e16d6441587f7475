internal import Synchronization

/// A promise of the outcome of giving a lease's keys back.
final class ReleasePromise: Promising {
  typealias Value = Result<ReleaseOutcome, StoreFailure>

  private let state = Locked(PromiseState<Value>())

  func withPromise<Result: Sendable>(_ body: (inout PromiseState<Value>) -> Result) -> Result {
    state.withLock { body(&$0) }
  }
}
