internal import Dispatch
internal import Synchronization

/// Waits in place of a thread for a server that says nothing for long.
///
/// Dispatch has so many threads and no more: lockers of a server that does not answer must not hold those
/// that others need for their extensions.
final class SilenceWatch: Sendable {
  private struct Sources: ~Copyable {
    /// What the read source watches, as long as it does.
    let watch: FileDescriptor?
    var read: (any DispatchSourceRead)?
    var timer: (any DispatchSourceTimer)?
  }

  private let sources: Locked<Sources>

  /// Dispatch's clock stops while the machine sleeps, and now and then it loses an alarm.
  private static let interval = Duration.seconds(1)

  /// Calls the handler on the queue when the socket can be read, at a deadline, and now and then besides.
  ///
  /// - Throws: ``TransportError/unreachable(_:)`` when the system has no descriptor left.
  init(
    socket: CInt?, until deadline: Instant?, on queue: DispatchQueue,
    handler: @escaping @Sendable () -> Void
  ) throws(TransportError) {
    let number: CInt?
    if let socket {
      let watch = try FileDescriptor.watching(socket)
      number = watch.number
      sources = Locked(Sources(watch: watch, read: nil, timer: nil))
    } else {
      number = nil
      sources = Locked(Sources(watch: nil, read: nil, timer: nil))
    }
    sources.withLock { sources in
      if let number {
        let read = DispatchSource.makeReadSource(fileDescriptor: number, queue: queue)
        read.setEventHandler(handler: handler)
        // Keeps the descriptor open until the source does not watch it any more.
        read.setCancelHandler { @Sendable [self] in withExtendedLifetime(self) {} }
        read.activate()
        sources.read = read
      }
      let timer = DispatchSource.makeTimerSource(queue: queue)
      timer.setEventHandler(handler: handler)
      let left = deadline.map { max(Instant.now.duration(to: $0), .zero) } ?? Self.interval
      timer.schedule(
        deadline: .now() + .nanoseconds(Int(min(left, Self.interval).wholeNanoseconds)),
        repeating: .seconds(1), leeway: .milliseconds(1))
      timer.activate()
      sources.timer = timer
    }
  }

  /// Calls the handler no more, but for a call that has begun.
  func cancel() {
    sources.withLock { sources in
      sources.read?.cancel()
      sources.timer?.cancel()
      sources.read = nil
      sources.timer = nil
    }
  }

  deinit { cancel() }
}
