internal import Dispatch
internal import Synchronization

/// A serial Dispatch queue.
final class DispatchWorkQueue: WorkQueue {
  private let queue: DispatchQueue

  init(_ label: String, _ urgency: Urgency) {
    let quality: DispatchQoS =
      switch urgency {
      case .extensions: .userInteractive
      case .later: .utility
      }
    queue = DispatchQueue(label: "async-redis-lock.\(label)", qos: quality)
  }

  func async(_ work: @escaping @Sendable () -> Void) { queue.async(execute: work) }

  func async(after pause: Duration, _ work: @escaping @Sendable () -> Void) {
    queue.asyncAfter(
      deadline: .now() + .nanoseconds(Int(pause.wholeNanoseconds)), execute: work)
  }

  func watch(
    _ stream: any ByteStream, _ handler: @escaping @Sendable () -> Void
  ) throws(TransportError) -> any WorkSource {
    guard let socket = stream.descriptor else { throw .unreachable("nothing to watch") }
    return DispatchWorkSource(
      watching: try FileDescriptor.watching(socket, for: .reading), on: queue, handler)
  }

  func `repeat`(
    after pause: Duration, every interval: Duration, _ handler: @escaping @Sendable () -> Void
  ) -> any WorkSource {
    DispatchWorkSource(after: pause, every: interval, on: queue, handler)
  }
}

/// A Dispatch source, cancelled when the last reference to it goes away.
private final class DispatchWorkSource: WorkSource {
  /// One of the sources; their common protocol cannot be sent to another thread.
  private struct Source {
    var read: (any DispatchSourceRead)?
    var timer: (any DispatchSourceTimer)?
  }

  private let source = Locked(Source())

  init(
    watching descriptor: consuming FileDescriptor, on queue: DispatchQueue,
    _ handler: @escaping @Sendable () -> Void
  ) {
    let number = descriptor.number
    // The number of a closed descriptor may be reused at once, so it has to stay open as long as it is watched.
    let watched = Locked(descriptor)
    source.withLock { source in
      let read = DispatchSource.makeReadSource(fileDescriptor: number, queue: queue)
      read.setEventHandler(handler: handler)
      read.setCancelHandler { @Sendable in withExtendedLifetime(watched) {} }
      read.activate()
      source.read = read
    }
  }

  init(
    after pause: Duration, every interval: Duration, on queue: DispatchQueue,
    _ handler: @escaping @Sendable () -> Void
  ) {
    source.withLock { source in
      let timer = DispatchSource.makeTimerSource(queue: queue)
      timer.setEventHandler(handler: handler)
      timer.schedule(
        deadline: .now() + .nanoseconds(Int(pause.wholeNanoseconds)),
        repeating: .nanoseconds(Int(interval.wholeNanoseconds)), leeway: .milliseconds(1))
      timer.activate()
      source.timer = timer
    }
  }

  func cancel() {
    source.withLock { source in
      source.read?.cancel()
      source.timer?.cancel()
      // Its handler may refer to the party that cancels it.
      source = Source()
    }
  }

  deinit { cancel() }
}
