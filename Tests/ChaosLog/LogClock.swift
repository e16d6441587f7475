#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// The clock of the log, in nanoseconds: the same in all processes, and of the same kind as the library's.
public enum LogClock {
  /// The time now; never 0, which stands for an instant that has not happened.
  public static var now: UInt64 {
    #if canImport(Darwin)
      let clock = CLOCK_MONOTONIC_RAW
    #else
      let clock = CLOCK_BOOTTIME
    #endif
    // The fields of `timespec`; some builds find their names in a module that cannot be imported.
    var time: (seconds: Int64, nanoseconds: Int64) = (0, 0)
    unsafe withUnsafeMutablePointer(to: &time) { pointer in
      let raw = UnsafeMutableRawPointer(pointer)
      _ = unsafe clock_gettime(clock, raw.assumingMemoryBound(to: timespec.self))
    }
    return UInt64(max(time.seconds * 1_000_000_000 + time.nanoseconds, 1))
  }
}

extension UInt64 {
  /// This many milliseconds in nanoseconds.
  public static func milliseconds(_ count: Int) -> UInt64 { UInt64(count) * 1_000_000 }

  /// This many nanoseconds in seconds.
  public var inSeconds: Double { Double(self) / 1e9 }
}

extension Duration {
  /// The duration in nanoseconds; it must not be negative.
  public var logNanoseconds: UInt64 {
    UInt64(components.seconds) * 1_000_000_000 + UInt64(components.attoseconds / 1_000_000_000)
  }
}
