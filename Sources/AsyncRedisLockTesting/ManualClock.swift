internal import AsyncRedisLock

/// A clock that stands still until a test advances it.
///
/// Lockers in memory that are made with it count their leases by it: what is due while it advances, such as an
/// extension, the end of a ttl or of a timeout, has happened when ``advance(by:)`` returns.
///
/// ```swift
/// let clock = ManualClock()
/// let locker = Locker.inMemory(clock: clock)
/// let lock = try await locker.acquire("key", options: .init(ttl: .seconds(30), extend: nil))
/// clock.advance(by: .seconds(30))
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
    let promise = Promise<Bool>()
    let timer = timeline.makeTimer { promise.fulfil(true) }
    defer { timer.cancel() }
    timer.set(for: timeline.start + deadline.offset)
    try await promise.wait()
  }

  /// Lets time pass, and all that becomes due happen in its order.
  ///
  /// Tasks that are woken by it go on afterwards: await them, or what they do.
  ///
  /// - Parameter duration: Not negative.
  public func advance(by duration: Duration) {
    precondition(duration >= .zero, "time does not go back")
    timeline.advance(by: duration)
  }
}
