import Testing

@testable import AsyncRedisLock

@Suite("How long a refusal of the queues counts", .timeLimit(.minutes(2)))
struct QueueAccessTests {
  private let time = HandFiredTime()
  private let access: QueueAccess

  init() { access = QueueAccess(clock: LockClock(time)) }

  private func advance(by duration: Duration) { time.present.value = time.now + duration }

  /// How long the queues are left alone after a refusal now.
  private func pause() -> Duration {
    #expect(access.refuse())
    #expect(!access.isOpen)
    let start = time.now
    while !access.isOpen { advance(by: .seconds(1)) }
    return start.duration(to: time.now)
  }

  @Test("Each further refusal counts for twice as long, up to a minute")
  func doubling() {
    #expect((0..<8).map { _ in pause() } == [1, 2, 4, 8, 16, 32, 60, 60].map { .seconds($0) })
  }

  @Test("While a refusal counts, another one changes nothing")
  func crowd() {
    #expect(access.refuse())
    advance(by: .milliseconds(999))
    #expect(!access.refuse())
    advance(by: .milliseconds(1))
    #expect(access.isOpen)
  }

  @Test("After a request has used the queues, the next refusal counts for the shortest time")
  func use() {
    _ = (pause(), pause(), pause())
    access.noteUse()
    #expect(pause() == .seconds(1))
  }

  @Test("An answer that was under way at a refusal does not end it")
  func underWay() {
    _ = pause()
    #expect(access.refuse())
    access.noteUse()
    #expect(!access.isOpen)
    advance(by: .seconds(2))
    #expect(pause() == .seconds(4))
  }

  @Test("A login ends a refusal, and no former one reopens the queues after the next")
  func login() {
    #expect(access.refuse())
    advance(by: .milliseconds(500))
    access.permit()
    #expect(access.isOpen)
    #expect(access.refuse())
    advance(by: .milliseconds(500))
    #expect(!access.isOpen)
  }
}
