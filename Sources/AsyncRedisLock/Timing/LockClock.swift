/// The clock for leases: the machine's, or one that a test sets.
package struct LockClock: Sendable {
  // Nil except in tests, so that reading the time costs no call through a table.
  private let manual: (any ManualTime)?
  /// Counts the running calls that use this clock; nil except in tests.
  package let activity: (any ActivityCounter)?

  /// The machine's time.
  package static let system = Self()

  /// A time that a test sets, or the machine's if nil.
  package init(_ time: (any ManualTime)? = nil, activity: (any ActivityCounter)? = nil) {
    manual = time
    self.activity = activity
  }

  /// The present instant.
  package var now: Instant { manual?.now ?? .now }

  /// How long a request may take that is sent when its time is up; zero if time may stand still.
  var grace: Duration { manual == nil ? .milliseconds(2) : .zero }

  /// Makes a timer that calls the handler at the instants it is set for, on a thread that no other code blocks.
  package func makeTimer(_ handler: @escaping @Sendable () -> Void) -> any WakeTimer {
    manual?.makeTimer(handler) ?? DispatchWakeTimer(handler)
  }
}

/// A clock that a test sets, and that fires its timers.
package protocol ManualTime: AnyObject, Sendable {
  var now: Instant { get }
  func makeTimer(_ handler: @escaping @Sendable () -> Void) -> any WakeTimer
}

/// Calls its handler once after each time it is set, which replaces the time before.
package protocol WakeTimer: Sendable {
  /// Sets the timer; never calls the handler before it returns.
  func set(for instant: Instant)

  /// Ends the timer for good.
  func cancel()
}
