/// Waits for a stream, and for other threads.
package protocol Poller: Sendable {
  /// Ends the wait that goes on, or the next one.
  func wake()

  /// Waits until a stream can be read or, if that is wanted, written, until somebody wakes it, or until a deadline.
  ///
  /// With a deadline that has passed it only looks.
  func wait(for stream: (any ByteStream)?, toWrite: Bool, until deadline: Instant) -> Readiness

  /// Waits for so many microseconds at most until a stream can be read; tells whether it can.
  func canRead(_ stream: any ByteStream, within microseconds: Int) -> Bool

  /// Waits for so many microseconds at most until somebody wakes it.
  func rest(for microseconds: Int)

  /// Lets the threads that wait for this processor run first.
  func letOthersRun()
}

/// What a wait has ended with.
package struct Readiness: Sendable {
  /// Whether another thread has woken the one that waited.
  var isWoken = false
  var canRead = false
  var canWrite = false

  package init(isWoken: Bool = false, canRead: Bool = false, canWrite: Bool = false) {
    self.isWoken = isWoken
    self.canRead = canRead
    self.canWrite = canWrite
  }
}
