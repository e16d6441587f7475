internal import Synchronization

/// Something to do at an instant, unless the locker is closed before.
final class Errand: Alarm {
  private let due: Instant
  private let clock: LockClock
  private let task: @Sendable () -> Void
  private let isDone = Atomic<Bool>(false)

  init(at due: Instant, by clock: LockClock, _ task: @escaping @Sendable () -> Void) {
    self.due = due
    self.clock = clock
    self.task = task
  }

  var isOver: Bool { isDone.load(ordering: .relaxed) }

  func ring() {
    // Closing rings all alarms.
    guard clock.now >= due, !isDone.exchange(true, ordering: .relaxed) else { return }
    task()
  }
}
