internal import Synchronization

/// A value that arrives later, once; any number of tasks can await it.
package final class Promise<Value: Sendable>: Promising {
  private let state = Locked(PromiseState<Value>())

  package init() {}

  package func withPromise<Result: Sendable>(
    _ body: (inout PromiseState<Value>) -> Result
  ) -> Result { state.withLock { body(&$0) } }
}
