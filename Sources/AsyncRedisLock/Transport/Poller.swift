/// Waits for a stream, and for other threads.
package protocol Poller: Sendable {
  /// Ends the wait under way, or the next one.
  func wake()

  /// Waits until a stream can be read or, if wanted, written, until another thread wakes it, or until a deadline.
  ///
  /// If the deadline has passed, only checks.
  func wait(for stream: (any ByteStream)?, toWrite: Bool, until deadline: Instant) -> Readiness

  /// Waits at most so many microseconds until a stream can be read; returns whether it can.
  func canRead(_ stream: any ByteStream, within microseconds: Int) -> Bool

  /// Waits at most so many microseconds until another thread wakes it.
  func rest(for microseconds: Int)

  /// Lets the threads that wait for this processor run first.
  func letOthersRun()
}

/// The outcome of a wait.
package struct Readiness: Sendable {
  /// Whether another thread has woken the waiting one.
  var isWoken = false
  var canRead = false
  var canWrite = false

  package init(isWoken: Bool = false, canRead: Bool = false, canWrite: Bool = false) {
    self.isWoken = isWoken
    self.canRead = canRead
    self.canWrite = canWrite
  }
}
