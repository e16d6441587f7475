internal import Synchronization

/// An action to run at an instant, unless the locker is closed before.
final class TimedAction: DeadlineObserver {
  private let due: Instant
  private let clock: LockClock
  private let action: @Sendable () -> Void
  private let isDone = Atomic<Bool>(false)

  init(at due: Instant, by clock: LockClock, _ action: @escaping @Sendable () -> Void) {
    self.due = due
    self.clock = clock
    self.action = action
  }

  var isOver: Bool { isDone.load(ordering: .relaxed) }

  func deadlinePassed() {
    // Closing tells all observers.
    guard clock.now >= due, !isDone.exchange(true, ordering: .relaxed) else { return }
    action()
  }
}
