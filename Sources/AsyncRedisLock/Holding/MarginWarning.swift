/// Fires a signal when a lease has no more than a margin left.
final class MarginWarning: DeadlineObserver {
  private let signal: Signal
  private let lease: Lease
  private let margin: Duration
  private let clock: LockClock
  private let deadlines: Deadlines

  private init(
    _ signal: Signal, _ lease: Lease, margin: Duration, clock: LockClock, deadlines: Deadlines
  ) {
    self.signal = signal
    self.lease = lease
    self.margin = margin
    self.clock = clock
    self.deadlines = deadlines
  }

  /// Fires the signal when no more than `margin` is left of the lease; at once if that is so already.
  static func set(
    _ signal: Signal, for lease: Lease, margin: Duration, clock: LockClock, deadlines: Deadlines
  ) {
    MarginWarning(signal, lease, margin: margin, clock: clock, deadlines: deadlines)
      .deadlinePassed()
  }

  var isOver: Bool { signal.isOver || lease.hasEnded }

  func deadlinePassed() {
    let state = lease.state
    let due = state.validUntil - margin
    if due > clock.now, !state.hasEnded, !signal.isOver {
      deadlines.wake(self, at: due, until: .closed)
    } else {
      signal.fire()
    }
  }
}
