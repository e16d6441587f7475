internal import AsyncRedisLock
internal import Synchronization

/// An action to run once, at an instant, unless it is cancelled before; it keeps itself alive until then.
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
