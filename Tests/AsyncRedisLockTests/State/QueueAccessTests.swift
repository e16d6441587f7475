import Testing

@testable import AsyncRedisLock

@Suite("How long a refusal of the queues counts", .timeLimit(.minutes(2)))
struct QueueAccessTests {
  private let time = HandFiredTime()
  private let access: QueueAccess

  init() { access = QueueAccess(clock: LockClock(time)) }

  private var isOpen: Bool { access.isOpen(for: ["key"]) }

  private func advance(by duration: Duration) { time.present.value = time.now + duration }

  /// How long the queues are left alone after a refusal now.
  private func pause() -> Duration {
    #expect(access.refuse())
    #expect(!isOpen)
    let start = time.now
    while !isOpen { advance(by: .seconds(1)) }
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
    #expect(isOpen)
  }

  @Test("After a request has used the queues, the next refusal counts for the shortest time")
  func use() {
    _ = (pause(), pause(), pause())
    access.noteUse(of: [["key"]])
    #expect(pause() == .seconds(1))
  }

  @Test("An answer that was under way at a refusal does not end it")
  func underWay() {
    _ = pause()
    #expect(access.refuse())
    access.noteUse(of: [["key"]])
    #expect(!isOpen)
    advance(by: .seconds(2))
    #expect(pause() == .seconds(4))
  }

  @Test("A login ends a refusal, and no former one reopens the queues after the next")
  func login() {
    #expect(access.refuse())
    advance(by: .milliseconds(500))
    access.permit()
    #expect(isOpen)
    #expect(access.refuse())
    advance(by: .milliseconds(500))
    #expect(!isOpen)
  }

  @Test("A refusal of the queue of some keys says nothing about those of others")
  func special() {
    #expect(access.refuse(["a", "b"]))
    #expect(!access.refuse(["a", "b"]))
    #expect(!access.isOpen(for: ["a", "b"]))
    #expect(access.isOpen(for: ["a"]) && isOpen)
    #expect(access.mayRefuse(["a", "b"]) && access.mayRefuse(["a"]) && access.mayRefuse(["key"]))
    access.noteUse(of: [["key"]])
    #expect(!access.isOpen(for: ["a", "b"]))
    #expect(access.mayRefuse(["a", "b"]) && access.mayRefuse(["a"]) && !access.mayRefuse(["key"]))
  }

  @Test("The queue of some keys counts as refused until it has been used, also after a login")
  func specialUntilUse() {
    #expect(access.refuse(["a"]))
    access.permit()
    #expect(access.isOpen(for: ["a"]) && access.mayRefuse(["a"]))
    advance(by: .milliseconds(1))
    access.noteUse(of: [["key"], ["a"]])
    #expect(!access.mayRefuse(["a"]))
  }

  @Test("While a refusal of all queues counts, no other use ends it")
  func general() {
    #expect(access.refuse(["a"]))
    advance(by: .seconds(2))
    #expect(access.refuse())
    access.noteUse(of: [["a"]])
    #expect(!access.isOpen(for: ["a"]) && access.mayRefuse(["a"]))
  }

  @Test("A user with very many forbidden queues does without any for a while")
  func many() {
    for number in 0..<QueueAccess.mostSpecial { #expect(access.refuse(["\(number)"])) }
    #expect(isOpen)
    #expect(access.refuse(["one more"]))
    #expect(!isOpen)
    #expect(access.mayRefuse(["0"]))
  }

  @Test("Refusals that do not count any more make room for others")
  func manyOver() {
    for number in 0..<QueueAccess.mostSpecial { #expect(access.refuse(["\(number)"])) }
    advance(by: .seconds(2))
    #expect(access.refuse(["one more"]))
    #expect(isOpen && access.mayRefuse(["one more"]) && access.mayRefuse(["0"]))
  }

  @Test(
    "Keys whose queues were never used count as refused for a minute after the refusal of others")
  func unknown() {
    #expect(access.refuse(["a"]))
    advance(by: .seconds(60))
    #expect(access.mayRefuse(["b"]))
    advance(by: .seconds(1))
    #expect(!access.mayRefuse(["b"]) && access.mayRefuse(["a"]))
  }

  @Test("However many keys were used since a refusal, the latest are known")
  func manyUsed() {
    #expect(access.refuse(["a"]))
    for number in 0..<5000 { access.noteUse(of: [["\(number)"]]) }
    #expect((4000..<5000).allSatisfy { !access.mayRefuse(["\($0)"]) })
    #expect(access.mayRefuse(["0"]) && access.mayRefuse(["a"]))
  }
}
