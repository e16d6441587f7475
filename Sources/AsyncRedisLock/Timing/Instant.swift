#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// An instant of a clock that, like a lease, goes on while the machine sleeps.
///
/// The compiler does not know the layout of the standard library's `ContinuousClock.Instant`. Copying or
/// destroying a value that contains one calls into the runtime: a fifth of all time.
package struct Instant: InstantProtocol {
  private let nanoseconds: Int64

  /// An instant by a clock's own count.
  package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  package static var now: Self {
    #if canImport(Darwin)
      let clock = CLOCK_MONOTONIC_RAW
    #else
      let clock = CLOCK_BOOTTIME
    #endif
    // The fields of `timespec`, whose names some builds find in a module that cannot be imported.
    var time: (seconds: Int64, nanoseconds: Int64) = (0, 0)
    unsafe withUnsafeMutablePointer(to: &time) { pointer in
      let raw = UnsafeMutableRawPointer(pointer)
      _ = unsafe clock_gettime(clock, raw.assumingMemoryBound(to: timespec.self))
    }
    return Self(nanoseconds: time.seconds * 1_000_000_000 + time.nanoseconds)
  }

  package func advanced(by duration: Duration) -> Self {
    Self(nanoseconds: nanoseconds + duration.wholeNanoseconds)
  }

  package func duration(to other: Self) -> Duration {
    .nanoseconds(other.nanoseconds - nanoseconds)
  }

  package static func < (first: Self, second: Self) -> Bool {
    first.nanoseconds < second.nanoseconds
  }

  /// The last instant of a grid that is not later than this one.
  func rounded(downTo grid: Duration) -> Self {
    Self(nanoseconds: nanoseconds - nanoseconds % grid.wholeNanoseconds)
  }

  package static func + (instant: Self, duration: Duration) -> Self {
    instant.advanced(by: duration)
  }

  package static func - (instant: Self, duration: Duration) -> Self {
    Self(nanoseconds: instant.nanoseconds - duration.wholeNanoseconds)
  }

  package static func += (instant: inout Self, duration: Duration) { instant = instant + duration }

  package static func - (later: Self, earlier: Self) -> Duration { earlier.duration(to: later) }
}
