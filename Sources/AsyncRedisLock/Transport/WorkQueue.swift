/// Runs work items one after the other, on threads that belong to no caller.
package protocol WorkQueue: AnyObject, Sendable {
  /// Runs a work item after all earlier ones.
  func async(_ work: @escaping @Sendable () -> Void)

  /// Runs a work item when some time has passed.
  func async(after pause: Duration, _ work: @escaping @Sendable () -> Void)

  /// Runs the handler whenever a stream can be read, until the source is cancelled.
  ///
  /// - Throws: `unreachable` if the system lacks the resources to watch it.
  func watch(_ stream: any ByteStream, _ handler: @escaping @Sendable () -> Void)
    throws(TransportError) -> any WorkSource

  /// Runs the handler after a pause, and again and again after an interval, until the source is cancelled.
  func `repeat`(
    after pause: Duration, every interval: Duration, _ handler: @escaping @Sendable () -> Void
  ) -> any WorkSource
}

/// A source that has a queue run a handler again and again.
package protocol WorkSource: Sendable {
  /// Stops running the handler, except for a run that has begun.
  func cancel()
}

/// How urgent the work of a queue is.
package enum Urgency: Sendable {
  /// For extensions: a host program that blocks all default queues must not stop its locks.
  case extensions
  /// No caller waits for it.
  case later
}
