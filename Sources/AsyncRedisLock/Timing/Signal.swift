/// Something that is fired once, and that tasks wait for.
package final class Signal: Sendable {
  private enum Outcome { case fired, cancelled }

  private let outcome = Promise<Outcome>()

  package init() {}

  /// Whether the signal was fired, or a task that waited for it was cancelled.
  package var isOver: Bool { outcome.isKept }

  /// Lets all tasks go on that wait, now or later.
  package func fire() { outcome.fulfil(.fired) }

  /// Waits for the signal, or for the task's cancellation.
  ///
  /// - Throws: `CancellationError` when a task that waits is cancelled first.
  package func wait(countedBy activity: (any ActivityCounter)? = nil)
    async throws(CancellationError)
  {
    let outcome = await withTaskCancellationHandler {
      await self.outcome.value(countedBy: activity)
    } onCancel: {
      self.outcome.fulfil(.cancelled)
    }
    if outcome == .cancelled { throw CancellationError() }
  }
}
