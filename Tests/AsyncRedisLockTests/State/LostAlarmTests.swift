import Testing

@testable import AsyncRedisLock

@Suite("A timer whose firing gets lost", .timeLimit(.minutes(2)))
struct LostAlarmTests {
  @Test("The next due event makes up for a lost alarm")
  func rearmed() throws {
    let time = HandFiredTime()
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
