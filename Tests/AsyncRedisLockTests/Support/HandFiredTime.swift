import Testing

@testable import AsyncRedisLock

/// A clock that stands still, with one timer that fires only when a test says so.
final class HandFiredTime: ManualTime, WakeTimer {
  let present = Shared(Instant.now)
  let alarm = Shared<Instant?>(nil)
  private let handler = Shared<(@Sendable () -> Void)?>(nil)

  var now: Instant { present.value }

  func makeTimer(_ handler: @escaping @Sendable () -> Void) -> any WakeTimer {
    self.handler.value = handler
    return self
  }

  func set(for instant: Instant) { alarm.value = instant }
  func cancel() {}
  func fire() { handler.value?() }

  /// Advances to the instant for which the timer is set, and fires the timer.
  func fireNext() throws {
    present.value = max(now, try #require(alarm.exchange(nil), "the timer is not set"))
    fire()
  }
}
