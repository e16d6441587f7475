internal import AsyncRedisLock

/// A clock that stands still until a test advances it.
///
/// Lockers in memory that are created with the clock time their leases by it. When ``advance(by:)`` returns,
/// everything due has happened, such as an extension or the end of a ttl or a timeout. So has what their calls do
/// because of it.
///
/// ```swift
/// let clock = ManualClock()
/// let locker = Locker.inMemory(clock: clock)
/// let lock = try await locker.acquire("key", options: .init(ttl: .seconds(30), extend: nil))
/// try await clock.advance(by: .seconds(30))
/// #expect(lock.lossReason == .expired)
/// ```
public final class ManualClock: Clock {
  /// An instant on a manual clock.
  public struct Instant: InstantProtocol {
    /// The time since the clock was created.
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

  /// One nanosecond: the clock can be set to any instant.
  public var minimumResolution: Duration { .nanoseconds(1) }

  /// Waits until the clock has been advanced to an instant.
  ///
  /// - Throws: `CancellationError` if the task is cancelled.
  public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
    let signal = Signal()
    let timer = timeline.makeTimer { signal.fire() }
    defer { timer.cancel() }
    timer.set(for: timeline.start + deadline.offset)
    // Counted as running as soon as its time has come, even on its way to the task's executor.
    timeline.activity.begin()
    defer { timeline.activity.end() }
    try await signal.wait(countedBy: timeline.activity)
  }

  /// Lets time pass, and lets due events happen in their order.
  ///
  /// Before the first event, between any two, and after the last, the servers with this clock settle, as by
  /// ``InMemoryServer/settle()``. So the next request of a call is made at the instant at which the call was
  /// woken. If several tasks advance the clock at once, their advances add up.
  ///
  /// - Parameter duration: How far to advance; not negative.
  /// - Throws: `CancellationError` if the task is cancelled; some of the time may have passed by then.
  public func advance(by duration: Duration) async throws(CancellationError) {
    precondition(duration >= .zero, "time does not go back")
    let end = timeline.beginAdvance(by: duration)
    defer { timeline.endAdvance() }
    repeat { try await timeline.activity.settle() } while timeline.fireNext(by: end)
  }
}
