import AsyncRedisLock
import Dispatch
import Testing

@testable import AsyncRedisLockTesting

@Suite("A manual clock", .timeLimit(.minutes(2)))
struct ManualClockTests {
  private let clock = ManualClock()

  @Test("A manual clock stands still until it is advanced, and rings timers in order")
  func sleeping() async throws {
    #expect(clock.now.offset == .zero)
    let order = Recorder<Int>()
    let timers = [3, 1, 2].map { number in
      clock.timeline.makeTimer { [clock] in
        #expect(clock.now.offset == .seconds(number))
        order.record(number)
      }
    }
    for (timer, number) in zip(timers, [3, 1, 2]) {
      timer.set(for: clock.timeline.start + .seconds(number))
    }
    try await clock.advance(by: .milliseconds(2500))
    #expect(order.values == [1, 2])
    timers[0].cancel()
    try await clock.advance(by: .seconds(1))
    #expect(order.values == [1, 2] && clock.now.offset == .milliseconds(3500))
    withExtendedLifetime(timers) {}
  }

  @Test("A manual clock wakes a sleeping task, even if its deadline is past")
  func tasks() async throws {
    let deadline = clock.now.advanced(by: .seconds(1))
    let sleeper = Task { [clock] in try await clock.sleep(until: deadline) }
    try await clock.advance(by: .seconds(1))
    try await sleeper.value
    try await clock.sleep(until: deadline)
    #expect(clock.now == deadline && deadline > deadline.advanced(by: .milliseconds(-1)))
  }

  @Test("A manual clock rings a timer that is set while the clock is advanced")
  func racing() {
    for _ in 0..<20_000 {
      let rung = DispatchSemaphore(value: 0)
      let timer = clock.timeline.makeTimer { rung.signal() }
      let due = clock.timeline.now + .milliseconds(1)
      DispatchQueue.concurrentPerform(iterations: 2) { index in
        if index == 0 {
          while clock.timeline.fireNext(by: due) {}
        } else {
          timer.set(for: due)
        }
      }
      guard rung.wait(timeout: .now() + 5) == .success else {
        Issue.record("it was missed")
        return
      }
    }
  }

  @Test("A task that sleeps on a manual clock can be cancelled")
  func cancelling() async throws {
    let sleeper = Task { [clock] in try await clock.sleep(for: .seconds(1)) }
    sleeper.cancel()
    await #expect(throws: CancellationError.self) { try await sleeper.value }
  }
}
