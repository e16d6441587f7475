/// A task that waits in this process for its turn at some keys.
final class LocalWaiter: DeadlineObserver {
  /// What a waiter's turn can be.
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
  private let promise = Promise<Turn>()

  init(_ options: LockOptions) { self.options = options }

  /// Waits for the turn; cancelling the task is one, too.
  func turn(countedBy activity: (any ActivityCounter)?) async -> Turn {
    await withTaskCancellationHandler {
      await promise.value(countedBy: activity)
    } onCancel: {
      promise.fulfil(.cancelled)
    }
  }

  /// Gives the waiter its turn; false when it has had one.
  func give(_ turn: Turn) -> Bool { promise.fulfil(turn) }

  var isOver: Bool { promise.isKept }

  func deadlinePassed() { promise.fulfil(.timeUp) }
}
