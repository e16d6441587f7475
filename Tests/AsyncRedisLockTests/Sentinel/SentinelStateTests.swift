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
    // It is tried again if no other can be reached: it may be the primary by now.
    #expect(state.choose(from: answers) == [named(0, old, 1), named(1, new, 2)])
    state.isNotPrimary(old, namedBy: sentinels[0])
    #expect(state.choose(from: answers) == [named(1, new, 2)])
    // News of it end that.
    state.isNotPrimary(new, namedBy: sentinels[1])
    _ = state.told(new, by: sentinels[2])
    #expect(state.choose(from: answers) == [named(1, new, 2)])
  }

  @Test(
    "A survey asks for another look at a server that has denied it, if the sentinels prefer that")
  func denialEnds() {
    var state = SentinelState(sentinels)
    state.isNotPrimary(new, namedBy: sentinels[1])
    _ = state.connected(to: named(0, old, 1), changeCount: 0)
    let torn = answers([named(0, old, 1), named(1, new, 2), named(2, new, 2)])
    let news = [
      // One of few that say so must not move the locker.
      state.surveyed(
        answers([named(0, old, 1), named(1, old, 1), named(2, new, 1)]), changeCount: 0),
      state.surveyed(torn, changeCount: 0),
      state.confirmed(PrimaryAnswer(address: new, epoch: 2), changeCount: 7),
      state.confirmed(PrimaryAnswer(address: new, epoch: 2), changeCount: 0),
    ]
    #expect(
      news == [.none, .denied(PrimaryAnswer(address: new, epoch: 2)), .none, .changed])
    #expect(state.choose(from: torn) == [named(1, new, 2)])
  }

  @Test(
    "A server that denies it to another connection has the requests' made anew, and no news are lost"
  )
  func doubted() {
    var state = SentinelState(sentinels)
    _ = state.connected(to: named(0, old, 1), changeCount: 0)
    let others = state.isDoubted(new)
    #expect(others == .none)
    #expect(state.primary?.address == old)
    let doubted = state.isDoubted(old)
    #expect(doubted == .changed)
    // The one that is being made at that time counts as history.
    let isAccepted = state.connected(to: named(0, old, 1), changeCount: 0)
    #expect(!isAccepted)
    let isAcceptedNow = state.connected(to: named(0, old, 1), changeCount: state.changeCount)
    #expect(isAcceptedNow)
    let news = state.told(new, by: sentinels[1])
    #expect(news == .changed)
  }

  @Test(
    "Among equal answers with equal votes, all lockers choose the same, whatever they have seen")
  func tie() {
    var (one, other) = (SentinelState(sentinels), SentinelState(sentinels.reversed()))
    _ = one.connected(to: named(0, old), changeCount: 0)
    _ = other.connected(to: named(1, new), changeCount: 0)
    let torn = answers([named(0, old), named(1, new)], isComplete: false)
    #expect(one.choose(from: torn) == [named(1, new), named(0, old)])
    #expect(other.choose(from: torn) == one.choose(from: torn))
  }

  @Test(
    "What slow sentinels have told in a survey counts at a login, unless it is about another failover"
  )
  func slowOnes() {
    var state = SentinelState(sentinels)
    let fast = answers([named(0, old, 1)], isComplete: false)
    _ = state.connected(to: named(0, old, 1), changeCount: 0)
    let news = state.surveyed(
      answers([named(0, old, 1), named(1, new, 1), named(2, new, 1)]), changeCount: 0)
    #expect(news == .changed)
    #expect(state.choose(from: fast).map(\.answer.address) == [new, old])
    #expect(state.choose(from: answers([named(0, old, 2)])) == [named(0, old, 2)])
    // Behind a change that was told, it is not known what they would say by now.
    _ = state.told(Address.tcp(host: "next"), by: sentinels[0])
    #expect(state.choose(from: fast).isEmpty)
    #expect(
      state.choose(from: answers([named(0, old, 1), named(1, old, 1)], isComplete: false))
        == [named(0, old, 1)])
  }

  @Test(
    "Sentinels that have not answered are waited for if they could outvote the others, unless they are dead"
  )
  func settled() {
    var state = SentinelState(sentinels)
    func isSettled(_ named: [SentinelState.Named], awaited: [Int]) -> Bool {
      state.isSettled(
        answers(named, isComplete: false), awaited: Set(awaited.map { sentinels[$0] }))
    }
    #expect(!isSettled([], awaited: [0, 1, 2]))
    #expect(!isSettled([named(0, old)], awaited: [1, 2]))
    #expect(!isSettled([named(0, old, 2), named(1, new, 1)], awaited: [2]))
    #expect(isSettled([named(0, old), named(1, old)], awaited: [2]))
    #expect(isSettled([named(0, old, 1), named(1, old, 1)], awaited: [2]))
    #expect(!isSettled([named(0, old), named(1, new)], awaited: [2]))
    _ = state.choose(
      from: SentinelState.Answers(
        named: [named(0, old)], answered: [sentinels[0]], isFull: true))
    #expect(isSettled([named(0, old)], awaited: [1, 2]))
    #expect(isSettled([named(0, old), named(1, new)], awaited: [2]))
    // It answers again.
    _ = state.choose(
      from: SentinelState.Answers(named: [named(1, old)], answered: [sentinels[1]]))
    #expect(!isSettled([named(0, old)], awaited: [1, 2]))
    // Nothing is settled behind a change that was told.
    _ = state.connected(to: named(0, old, 1), changeCount: 0)
    _ = state.told(new, by: sentinels[1])
    #expect(!isSettled([named(0, old, 1), named(1, old, 1)], awaited: []))
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

  @Test("What was told is forgotten when the sentinels that answer have had time to hear of it")
  func toldInVain() {
    var state = SentinelState(sentinels)
    _ = state.connected(to: named(0, old, 4), changeCount: 0)
    _ = state.told(new, by: sentinels[2])
    let (known, count) = ([named(0, old, 4)], state.changeCount)
    func survey(isFull: Bool = true) {
      let answers = SentinelState.Answers(
        named: known, answered: [sentinels[0]], isFull: isFull)
      #expect(state.surveyed(answers, changeCount: count) == .none)
    }
    survey()
    survey(isFull: false)
    #expect(state.choose(from: answers(known, isComplete: false)).isEmpty)
    survey()
    #expect(state.choose(from: answers(known, isComplete: false)) == known)
    // A later message counts as long as the first.
    _ = state.told(new, by: sentinels[2])
    #expect(state.choose(from: answers(known, isComplete: false)).isEmpty)
  }

  @Test(
    "Sentinels that have been set up anew are believed after a while, though most others are dead")
  func setUpAnewByFew() {
    var state = SentinelState(sentinels)
    _ = state.connected(to: named(0, old, 4), changeCount: 0)
    let few = SentinelState.Answers(
      named: [named(0, new)], answered: [sentinels[0]], isFull: true)
    #expect(state.surveyed(few, changeCount: 0) == .none)
    // One that has heard of the latest failover is right.
    #expect(state.surveyed(answers([named(1, old, 4)], isComplete: false), changeCount: 0) == .none)
    #expect(state.surveyed(few, changeCount: 0) == .none)
    #expect(state.primary?.address == old)
    #expect(state.surveyed(few, changeCount: 0) == .changed)
    #expect(state.choose(from: few) == [named(0, new)])
  }

  @Test("A number that a sentinel makes up leaves room for later ones")
  func largestNumber() throws {
    let description = ["name", "locks", "config-epoch", "18446744073709551615"]
    let replies: [Reply] = [
      .array(description.map { .string($0) }), .array([.string("old"), .string("6379")]),
    ]
    let answer = try #require(try PrimaryAnswer.read(replies))
    #expect(answer.epoch == PrimaryAnswer.mostEpoch)
    var state = SentinelState(sentinels)
    _ = state.connected(
      to: SentinelState.Named(sentinel: sentinels[0], answer: answer), changeCount: 0)
    let news = state.told(new, by: sentinels[1])
    #expect(news == .changed)
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
