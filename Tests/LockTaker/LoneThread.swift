import Foundation

/// A process that goes on by another thread when its first one has ended.
enum LoneThread {
  /// Appends the time to a file, again and again, in nanoseconds of the wall clock.
  static func run(_ file: String) -> Never {
    Thread.detachNewThread {
      guard let output = unsafe fopen(file, "a") else { exit(1) }
      while true {
        let time = "\(Int(Date.now.timeIntervalSince1970 * 1e9))\n"
        unsafe fputs(time, output)
        unsafe fflush(output)
        usleep(10_000)
      }
    }
    pthread_exit(nil)
  }
}
