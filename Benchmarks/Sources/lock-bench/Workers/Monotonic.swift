import Foundation

/// The clock that all processes of a machine share, in nanoseconds.
enum Monotonic {
  static func now() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// Blocks the thread up to the instant.
  static func sleep(until instant: UInt64) {
    while true {
      let now = now()
      guard now < instant else { return }
      let rest = instant - now
      var time = timespec()
      time.tv_sec = .init(rest / 1_000_000_000)
      time.tv_nsec = .init(rest % 1_000_000_000)
      unsafe nanosleep(&time, nil)
    }
  }

  /// Blocks the thread for this many milliseconds.
  static func sleep(milliseconds: UInt64) { sleep(until: now() + milliseconds * 1_000_000) }
}
