/// The time that leases are counted by: the machine's, or one that a test sets.
package struct LockClock: Sendable {
  // Nil in all programs but tests, so that asking for the time costs no call through a table.
  private let manual: (any ManualTime)?
  /// Counts the calls that run by this clock; nil in all programs but tests.
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

  /// What a question is allowed that is asked when its time is up; nothing if time may stand still.
  var grace: Duration { manual == nil ? .milliseconds(2) : .zero }

  /// Makes a timer that calls the handler at the instants it is set for, on a thread where nothing else waits.
  package func makeTimer(_ handler: @escaping @Sendable () -> Void) -> any WakeTimer {
    manual?.makeTimer(handler) ?? DispatchWakeTimer(handler)
  }
}

/// A time that somebody sets, and that wakes who waits for it.
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
