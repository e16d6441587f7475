/// Waits in place of a thread for a server that says nothing for long.
///
/// Dispatch has so many threads and no more: lockers of a server that does not answer must not hold those
/// that others need for their extensions.
struct SilenceWatch {
  private let sources: [any WorkSource]

  /// Dispatch's clock stops while the machine sleeps, and now and then it loses an alarm.
  private static let interval = Duration.seconds(1)

  /// Calls the handler on the queue when the stream can be read, when a time has passed, and now and then besides.
  ///
  /// - Throws: ``TransportError/unreachable(_:)`` when the system has no descriptor left.
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

  /// Calls the handler no more, but for a call that has begun.
  func cancel() { for source in sources { source.cancel() } }
}
