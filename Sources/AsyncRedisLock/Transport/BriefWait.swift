#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// Waits for less than the millisecond that is the least for `poll(2)`.
enum BriefWait {
  /// Lets the threads that wait for this processor run first.
  static func letOthersRun() { sched_yield() }

  /// Whether a descriptor becomes readable within so many microseconds; false at once for one that
  /// `select(2)` does not know: unlike `ppoll(2)` it is everywhere, but takes no large ones.
  static func isReadable(_ descriptor: CInt, within microseconds: Int) -> Bool {
    guard descriptor >= 0, descriptor < FD_SETSIZE else { return false }
    var set = fd_set()
    unsafe withUnsafeMutableBytes(of: &set) { bytes in
      // The set is an array of machine words, and these machines are little-endian.
      unsafe bytes[Int(descriptor) / 8] |= 1 << UInt8(descriptor % 8)
    }
    // The fields of `timeval`, whose names some builds find in a module that nobody can import.
    var timeout: (seconds: time_t, microseconds: suseconds_t) = (
      0, numericCast(min(max(microseconds, 0), 999_999))
    )
    return unsafe withUnsafeMutablePointer(to: &timeout) { pointer in
      let raw = UnsafeMutableRawPointer(pointer)
      return unsafe select(
        descriptor + 1, &set, nil, nil, raw.assumingMemoryBound(to: timeval.self)) > 0
    }
  }
}
