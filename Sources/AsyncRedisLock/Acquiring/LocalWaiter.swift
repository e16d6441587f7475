internal import Synchronization

/// A task that waits in this process for its turn at some keys.
final class LocalWaiter: DeadlineObserver, Promising {
  /// The turn that a waiter gets.
  enum Turn: Sendable {
    /// The lock is its own, handed on by the former holder.
    case take(Lease)
    /// It is the first in the process, and has to ask the server.
    case lead
    case timeUp
    case cancelled
    case closed
  }

  let options: LockOptions
  private let state = Locked(PromiseState<Turn>())

  init(_ options: LockOptions) { self.options = options }

  /// Waits for the turn; a cancellation of the task counts as one, too.
  func turn(countedBy activity: (any ActivityCounter)?) async -> Turn {
    await withTaskCancellationHandler {
      await value(countedBy: activity)
    } onCancel: {
      fulfil(.cancelled)
    }
  }

  /// Gives the waiter its turn; returns false if it has had one.
  func give(_ turn: Turn) -> Bool { fulfil(turn) }

  var isOver: Bool { isKept }

  func deadlinePassed() { fulfil(.timeUp) }

  func withPromise<Result: Sendable>(_ body: (inout PromiseState<Turn>) -> Result) -> Result {
    state.withLock { body(&$0) }
  }
}
