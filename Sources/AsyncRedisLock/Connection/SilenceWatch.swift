/// Waits, in place of a thread, for a server that is silent for long.
///
/// Dispatch has a limited number of threads: lockers of a server that does not answer must not hold those that
/// other lockers need for their extensions.
struct SilenceWatch {
  private let sources: [any WorkSource]

  /// Dispatch's clock stops while the machine sleeps, and now and then Dispatch loses an alarm.
  private static let interval = Duration.seconds(1)

  /// Calls the handler on the queue when the stream can be read, when a time has passed, and now and then besides.
  ///
  /// - Throws: ``TransportError/unreachable(_:)`` if the system has no file descriptor left.
  init(
    _ stream: (any ByteStream)?, for time: Duration?, on queue: any WorkQueue,
    handler: @escaping @Sendable () -> Void
  ) throws(TransportError) {
    var sources: [any WorkSource] = []
    if let stream { sources.append(try queue.watch(stream, handler)) }
    let pause = min(max(time ?? Self.interval, .zero), Self.interval)
    sources.append(queue.repeat(after: pause, every: Self.interval, handler))
    self.sources = sources
  }

  /// Stops calling the handler, except for a call that has begun.
  func cancel() { for source in sources { source.cancel() } }
}
