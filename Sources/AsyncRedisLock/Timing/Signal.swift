internal import Synchronization

/// A signal that is fired once, and that tasks wait for.
package final class Signal: Promising {
  package enum Outcome: Sendable { case fired, cancelled }

  private let state = Locked(PromiseState<Outcome>())

  package init() {}

  /// Whether the signal was fired, or a task that waited for it was cancelled.
  package var isOver: Bool { isKept }

  /// Resumes all tasks that wait, now or later.
  package func fire() { fulfil(.fired) }

  /// Waits for the signal, or for the task's cancellation.
  ///
  /// - Throws: `CancellationError` if a waiting task is cancelled first.
  package func wait(countedBy activity: (any ActivityCounter)? = nil)
    async throws(CancellationError)
  {
    let outcome = await withTaskCancellationHandler {
      await value(countedBy: activity)
    } onCancel: {
      fulfil(.cancelled)
    }
    if outcome == .cancelled { throw CancellationError() }
  }

  package func withPromise<Result: Sendable>(
    _ body: (inout PromiseState<Outcome>) -> Result
  ) -> Result { state.withLock { body(&$0) } }
}
