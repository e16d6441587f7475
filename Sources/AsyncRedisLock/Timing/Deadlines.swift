internal import Synchronization

/// Tells the observers of one locker that an instant has come, or that the locker is being closed.
final class Deadlines: Sendable {
  private let queue: DeadlineQueue<any DeadlineObserver>
  private let phase = Atomic<UInt8>(ClosePhase.open.rawValue)

  init(clock: LockClock) {
    queue = DeadlineQueue(clock: clock) { $0.isOver }
    queue.start { due, _ in
      for entry in due { entry.item.deadlinePassed() }
      return []
    }
  }

  /// Tells an observer at an instant, or at once when the locker is past a phase of its closing.
  func wake(
    _ observer: any DeadlineObserver, at instant: Instant, until lastPhase: ClosePhase = .open
  ) {
    queue.add(observer, due: instant)
    // If the observer was added before the phase was read, closing has told it as well.
    if phase.load(ordering: .sequentiallyConsistent) > lastPhase.rawValue {
      observer.deadlinePassed()
    }
  }

  /// Notes that an observer has been told in another way.
  func noteEnd() { queue.noteEnd() }

  /// Begins a phase of closing: tells all observers.
  func close(_ phase: ClosePhase) {
    self.phase.max(phase.rawValue, ordering: .sequentiallyConsistent)
    for observer in queue.items { observer.deadlinePassed() }
  }
}
