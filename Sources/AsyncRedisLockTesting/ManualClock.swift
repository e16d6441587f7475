internal import AsyncRedisLock

/// A clock that stands still until a test advances it.
///
/// Lockers in memory that are made with it count their leases by it: what is due while it advances, such as an
/// extension, the end of a ttl or of a timeout, has happened when ``advance(by:)`` returns, and so has what their
/// calls do because of it.
///
/// ```swift
/// let clock = ManualClock()
/// let locker = Locker.inMemory(clock: clock)
/// let lock = try await locker.acquire("key", options: .init(ttl: .seconds(30), extend: nil))
/// try await clock.advance(by: .seconds(30))
/// #expect(lock.lossReason == .expired)
/// ```
public final class ManualClock: Clock {
  /// A point in the time of a clock.
  public struct Instant: InstantProtocol {
    /// The time since the clock was made.
    public let offset: Duration

    fileprivate init(offset: Duration) { self.offset = offset }

    /// The instant this much later.
    public func advanced(by duration: Duration) -> Self { Self(offset: offset + duration) }

    /// The time from here to another instant.
    public func duration(to other: Self) -> Duration { other.offset - offset }

    /// Whether the first instant comes before the second.
    public static func < (first: Self, second: Self) -> Bool { first.offset < second.offset }
  }

  package let timeline = Timeline()

  /// Creates a clock.
  public init() {}

  /// The present instant.
  public var now: Instant { Instant(offset: timeline.offset) }

  /// The clock can be set to any instant.
  public var minimumResolution: Duration { .nanoseconds(1) }

  /// Waits until the clock has been advanced to an instant.
  ///
  /// - Throws: `CancellationError` when the task is cancelled.
  public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
    let signal = Signal()
    let timer = timeline.makeTimer { signal.fire() }
    defer { timer.cancel() }
    timer.set(for: timeline.start + deadline.offset)
    // Counted as running as soon as the time has come, on its way to where the task runs, too.
    timeline.activity.begin()
    defer { timeline.activity.end() }
    try await signal.wait(countedBy: timeline.activity)
  }

  /// Lets time pass, and all that becomes due happen in its order.
  ///
  /// Before the first, between any two, and behind the last of what is due, the servers with this clock settle, as by
  /// ``InMemoryServer/settle()``: what a call does next is asked at the instant at which the call was woken. Advances
  /// by several tasks at once add up.
  ///
  /// - Parameter duration: Not negative.
  /// - Throws: `CancellationError` when the task is cancelled; some of the time may have passed then.
  public func advance(by duration: Duration) async throws(CancellationError) {
    precondition(duration >= .zero, "time does not go back")
    let end = timeline.beginAdvance(by: duration)
    defer { timeline.endAdvance() }
    repeat { try await timeline.activity.settle() } while timeline.fireNext(by: end)
  }
}
