import Testing

@testable import AsyncRedisLock

@Suite("A timer whose firing gets lost", .timeLimit(.minutes(2)))
struct LostAlarmTests {
  /// A time whose timers fire only when a test says so.
  private final class Time: ManualTime, WakeTimer {
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
  }

  @Test("A lost alarm is made up for by the next thing that is due")
  func rearmed() throws {
    let time = Time()
    let deadlines = Deadlines(clock: LockClock(time))
    let (first, second) = (Signal(), Signal())
    deadlines.wake(first, at: time.now + .milliseconds(10))
    #expect(time.alarm.exchange(nil) == time.now + .milliseconds(10))
    // It never fires.
    time.present.value = time.now + .seconds(5)
    deadlines.wake(second, at: time.now + .seconds(60))
    #expect(try #require(time.alarm.value) <= time.now)
    time.fire()
    #expect(first.isOver && !second.isOver)
  }
}
