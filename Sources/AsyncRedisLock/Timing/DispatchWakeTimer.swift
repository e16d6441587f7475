internal import Dispatch
internal import Synchronization

/// A timer on the machine's time, with a queue of its own, not on the cooperative pool.
final class DispatchWakeTimer: WakeTimer {
  private let source: Locked<any DispatchSourceTimer>

  init(_ handler: @escaping @Sendable () -> Void) {
    // High priority, because a host program that blocks all default queues must not stop its locks.
    let queue = DispatchQueue(label: "async-redis-lock.extender", qos: .userInteractive)
    let source = DispatchSource.makeTimerSource(queue: queue)
    source.setEventHandler(handler: handler)
    // A source that was never activated must not be released.
    source.activate()
    self.source = Locked(source)
  }

  func set(for instant: Instant) {
    let nanoseconds = Int(max(Instant.now.duration(to: instant), .zero).wholeNanoseconds)
    source.withLock {
      $0.schedule(deadline: .now() + .nanoseconds(nanoseconds), leeway: .milliseconds(1))
    }
  }

  func cancel() { source.withLock { $0.cancel() } }
}
