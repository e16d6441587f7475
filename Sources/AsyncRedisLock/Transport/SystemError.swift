#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// The number that a failed system call left in `errno`.
struct SystemError: Error, RawRepresentable, Hashable, CustomStringConvertible {
  let rawValue: CInt

  /// The error of the system call just made on this thread.
  static var current: Self { Self(rawValue: errno) }

  /// The system's text for the number.
  var description: String {
    guard let text = unsafe strerror(rawValue) else { return "error \(rawValue)" }
    return unsafe String(cString: text)
  }
}
