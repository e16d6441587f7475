/// Runs work one after the other, on threads that are no caller's.
package protocol WorkQueue: AnyObject, Sendable {
  /// Runs something behind all that was handed over before.
  func async(_ work: @escaping @Sendable () -> Void)

  /// Runs something when a time has passed.
  func async(after pause: Duration, _ work: @escaping @Sendable () -> Void)

  /// Runs the handler whenever a stream can be read, until the source is cancelled.
  ///
  /// - Throws: `unreachable` when the system has nothing left to watch it with.
  func watch(_ stream: any ByteStream, _ handler: @escaping @Sendable () -> Void)
    throws(TransportError) -> any WorkSource

  /// Runs the handler when a time has passed, and again and again after an interval, until the source is cancelled.
  func `repeat`(
    after pause: Duration, every interval: Duration, _ handler: @escaping @Sendable () -> Void
  ) -> any WorkSource
}

/// What has a queue run something again and again.
package protocol WorkSource: Sendable {
  /// Ends that, but for a run that has begun.
  func cancel()
}

/// How urgent the work of a queue is.
package enum Urgency: Sendable {
  /// Extensions need it: a host program that blocks all default queues must not stop its locks.
  case extensions
  /// Nobody waits for it.
  case later
}
