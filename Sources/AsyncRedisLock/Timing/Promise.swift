internal import Synchronization

/// A value that comes later, once, and is awaited by any number of tasks.
package final class Promise<Value: Sendable>: Promising {
  private let state = Locked(PromiseState<Value>())

  package init() {}

  package func withPromise<Result: Sendable>(
    _ body: (inout PromiseState<Value>) -> Result
  ) -> Result { state.withLock { body(&$0) } }
}
