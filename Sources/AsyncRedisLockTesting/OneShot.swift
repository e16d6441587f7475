internal import AsyncRedisLock
internal import Synchronization

/// Something to be done once, at an instant, unless it is cancelled before; it lives until then by itself.
final class OneShot: Sendable {
  private let timer = Locked<(any WakeTimer)?>(nil)

  @discardableResult
  init(by clock: LockClock, at instant: Instant, _ body: @escaping @Sendable () -> Void) {
    let timer = clock.makeTimer { [self] in
      cancel()
      body()
    }
    self.timer.withLock { $0 = timer }
    timer.set(for: instant)
  }

  func cancel() { timer.withLock { $0.take() }?.cancel() }
}
