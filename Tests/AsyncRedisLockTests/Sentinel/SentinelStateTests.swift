import Testing

@testable import AsyncRedisLock

@Suite("What a locker knows of its sentinels", .timeLimit(.minutes(1)))
struct SentinelStateTests {
  private typealias Address = LockerConfiguration.Address

  private let sentinels = ["a", "b", "c"].map { Address.Sentinel(host: $0) }
  private let old = Address.tcp(host: "old")
  private let new = Address.tcp(host: "new")

  private func named(_ sentinel: Int, _ address: Address, _ epoch: UInt64 = 0)
    -> SentinelState.Named
  {
    SentinelState.Named(
      sentinel: sentinels[sentinel], answer: PrimaryAnswer(address: address, epoch: epoch))
  }

  private func answers(
    _ named: [SentinelState.Named], isComplete: Bool = true
  ) -> SentinelState.Answers {
    SentinelState.Answers(named: named, isComplete: isComplete)
  }

  @Test("The sentinel that was right counts first, and one that was wrong last")
  func order() {
    var state = SentinelState(sentinels)
    let isAccepted = state.connected(to: named(1, old), changeCount: 0)
    #expect(isAccepted)
    #expect(state.order.map(\.host) == ["b", "a", "c"])
    state.isNotPrimary(old, namedBy: sentinels[1])
    #expect(state.order.map(\.host) == ["a", "c", "b"])
    #expect(state.primary == nil)
  }

  @Test("Of several answers, the latest failover counts, and each of its servers is tried once")
  func choice() {
    var state = SentinelState(sentinels)
    #expect(state.choose(from: answers([])).isEmpty)
    let lagging = state.choose(
      from: answers([named(0, old, 1), named(2, new, 2), named(1, new, 2)]))
    #expect(lagging == [named(1, new, 2)])
    // Among equal ones, most sentinels decide.
    let unknown = state.choose(from: answers([named(2, new), named(0, old), named(1, old)]))
    #expect(unknown == [named(0, old), named(2, new)])
  }

  @Test("A server that denies being the primary is passed over, until all have denied it")
  func denial() {
    var state = SentinelState(sentinels)
    let answers = answers([named(0, old, 1), named(1, new, 2)])
    state.isNotPrimary(new, namedBy: sentinels[1])
    #expect(state.choose(from: answers) == [named(0, old, 1)])
    state.isNotPrimary(old, namedBy: sentinels[0])
    #expect(state.choose(from: answers) == [named(1, new, 2)])
    // News of it end that.
    state.isNotPrimary(new, namedBy: sentinels[1])
    _ = state.told(new, by: sentinels[2])
    #expect(state.choose(from: answers) == [named(1, new, 2)])
  }

  @Test("An answer from before a change is not believed, whichever address it names")
  func belatedAnswer() {
    var state = SentinelState(sentinels)
    let count = state.changeCount
    // No connection is affected yet: the one under way has to learn of it.
    let news = state.told(new, by: sentinels[2])
    #expect(news == .none)
    let isAccepted = state.connected(to: named(0, old), changeCount: count)
    #expect(!isAccepted)
    #expect(state.primary == nil)
    #expect(state.order.first == sentinels[2])
    let isAcceptedNow = state.connected(to: named(2, new), changeCount: state.changeCount)
    #expect(isAcceptedNow)
  }

  @Test("What a watch learns while a connection is being made counts for that, too")
  func answerMeanwhile() {
    var state = SentinelState(sentinels)
    let count = state.changeCount
    let news = state.answered(PrimaryAnswer(address: new, epoch: 2))
    #expect(news == .none)
    let isAccepted = state.connected(to: named(0, old, 1), changeCount: count)
    #expect(!isAccepted)
  }

  @Test("A change is news once, and the address that is connected already is none")
  func news() {
    var state = SentinelState(sentinels)
    _ = state.connected(to: named(0, old, 1), changeCount: 0)
    let news = [
      state.answered(PrimaryAnswer(address: old, epoch: 1)), state.told(old, by: sentinels[0]),
      state.told(new, by: sentinels[0]), state.told(new, by: sentinels[1]),
    ]
    #expect(news == [.none, .none, .changed, .none])
    let isAccepted = state.connected(to: named(0, new, 2), changeCount: state.changeCount)
    #expect(isAccepted)
    // A sentinel that comes back has not heard of it; or all of them have been set up anew.
    let later = [
      state.answered(PrimaryAnswer(address: old, epoch: 1)),
      state.answered(PrimaryAnswer(address: old, epoch: 3)),
    ]
    #expect(later == [.doubtful, .changed])
  }

  @Test(
    "Behind a change that was told, an older answer counts only if all have answered, or most say so"
  )
  func toldBefore() {
    var state = SentinelState(sentinels)
    _ = state.connected(to: named(0, old, 4), changeCount: 0)
    _ = state.told(new, by: sentinels[2])
    // Another sentinel tells of the same change.
    _ = state.told(new, by: sentinels[1])
    #expect(state.choose(from: answers([named(0, old, 4)], isComplete: false)).isEmpty)
    let informed = state.choose(
      from: answers([named(0, old, 4), named(1, new, 5)], isComplete: false))
    #expect(informed == [named(1, new, 5)])
    let most = state.choose(from: answers([named(0, old, 4), named(1, old, 4)], isComplete: false))
    // Of those that say so, the one that has told something last.
    #expect(most == [named(1, old, 4)])
    let all = [named(0, old, 3), named(1, old, 4), named(2, new, 3)]
    #expect(state.choose(from: answers(all)) == [named(1, old, 4)])
    let isAccepted = state.connected(to: named(1, old, 4), changeCount: state.changeCount)
    #expect(isAccepted)
    #expect(
      state.choose(from: answers([named(0, old, 4)], isComplete: false)) == [named(0, old, 4)])
  }

  @Test("An older answer that names the same server takes nothing from what was told")
  func olderAnswer() {
    var state = SentinelState(sentinels)
    _ = state.connected(to: named(0, old, 4), changeCount: 0)
    _ = state.told(new, by: sentinels[2])
    // From when it was the primary before.
    _ = state.answered(PrimaryAnswer(address: new, epoch: 3))
    #expect(state.choose(from: answers([named(0, old, 4)], isComplete: false)).isEmpty)
  }

  @Test(
    "A survey moves the connections if the sentinels agree on another primary, or know of a later failover"
  )
  func survey() {
    var state = SentinelState(sentinels)
    _ = state.connected(to: named(0, old, 5), changeCount: 0)
    let anew = [named(0, new, 1), named(1, new, 1), named(2, new, 1)]
    let news = [
      state.surveyed(answers([named(0, old, 5)], isComplete: false), changeCount: 0),
      state.surveyed(answers([named(1, new, 1)], isComplete: false), changeCount: 0),
      state.surveyed(answers(anew), changeCount: 1),
      state.surveyed(answers(anew), changeCount: 0),
      // The connection is being made.
      state.surveyed(answers([named(0, old, 5)]), changeCount: 1),
    ]
    #expect(news == [.none, .none, .none, .changed, .none])
    let isAccepted = state.connected(to: named(0, new, 1), changeCount: state.changeCount)
    #expect(isAccepted)
  }

  @Test(
    "A message of a sentinel counts only if it is about the primary and names an address",
    arguments: [
      ("locks 10.0.0.1 6379 10.0.0.2 6380", Address.tcp(host: "10.0.0.2", port: 6380)),
      ("locks ::1 1 ::2 2", .tcp(host: "::2", port: 2)),
      ("locks a.example 1 b.example 2", .tcp(host: "b.example", port: 2)),
      (
        "slave 10.0.0.2:6380 10.0.0.2 6380 @ locks 10.0.0.1 6379",
        .tcp(host: "10.0.0.2", port: 6380)
      ),
      ("slave 10.0.0.2:6380 10.0.0.2 6380 @ other 10.0.0.1 6379", nil),
      ("slave 10.0.0.2:6380 10.0.0.2 6380 locks locks 10.0.0.1 6379", nil),
      ("other 10.0.0.1 6379 10.0.0.2 6380", nil), ("", nil), ("locks", nil),
      ("locks 10.0.0.1 6379 10.0.0.2", nil), ("locks 10.0.0.1 6379 10.0.0.2 0", nil),
      ("locks 10.0.0.1 6379 10.0.0.2 65536", nil), ("locks 10.0.0.1 6379 10.0.0.2 x", nil),
      ("locks 10.0.0.1 6379  6380", nil), ("locks 10.0.0.1 6379 10.0.0.2 6380 more", nil),
      ("locks 10.0.0.1 6379 :0 6380", nil),
    ] as [(String, LockerConfiguration.Address?)])
  func message(text: String, address: LockerConfiguration.Address?) {
    #expect(PrimaryAnswer.read(message: text, about: "locks") == address)
  }
}
