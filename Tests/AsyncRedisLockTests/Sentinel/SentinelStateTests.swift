import Testing

@testable import AsyncRedisLock

@Suite("What a locker knows of its sentinels", .timeLimit(.minutes(1)))
struct SentinelStateTests {
  private typealias Address = LockerConfiguration.Address

  private let sentinels = ["a", "b", "c"].map { Address.Sentinel(host: $0) }
  private let old = LockerConfiguration.Address.tcp(host: "old")
  private let new = LockerConfiguration.Address.tcp(host: "new")

  @Test("The sentinel that was right is the first to be asked, and one that was wrong the last")
  func order() {
    var state = SentinelState(sentinels)
    let isAccepted1 = state.connected(to: old, namedBy: sentinels[1], changeCount: 0)
    #expect(isAccepted1)
    #expect(state.order.map(\.host) == ["b", "a", "c"])
    state.isNotPrimary(old, namedBy: sentinels[1])
    #expect(state.order.map(\.host) == ["a", "c", "b"])
    #expect(state.primary == nil)
  }

  @Test("An answer from before a change is not believed, whichever address it names")
  func belatedAnswer() {
    var state = SentinelState(sentinels)
    let count = state.changeCount
    // No connection is affected yet: the one under way has to learn of it.
    let news2 = state.told(new, by: sentinels[2])
    #expect(news2 == .none)
    let isAccepted3 = state.connected(to: old, namedBy: sentinels[0], changeCount: count)
    #expect(!isAccepted3)
    #expect(state.primary == nil)
    #expect(state.order.first == sentinels[2])
    let isAccepted4 = state.connected(
      to: new, namedBy: sentinels[2], changeCount: state.changeCount)
    #expect(isAccepted4)
  }

  @Test("A change is news once, and the address that is connected already is none")
  func news() {
    var state = SentinelState(sentinels)
    let isAccepted5 = state.connected(to: old, namedBy: sentinels[0], changeCount: 0)
    #expect(isAccepted5)
    let news6 = state.answered(old)
    #expect(news6 == .none)
    let news7 = state.told(old, by: sentinels[0])
    #expect(news7 == .none)
    let news8 = state.told(new, by: sentinels[0])
    #expect(news8 == .changed)
    let news9 = state.told(new, by: sentinels[0])
    #expect(news9 == .none)
    let isAccepted10 = state.connected(
      to: new, namedBy: sentinels[0], changeCount: state.changeCount)
    #expect(isAccepted10)
    let news11 = state.answered(old)
    #expect(news11 == .changed)
  }

  @Test(
    "A message of a sentinel counts only if it is about the primary and names an address",
    arguments: [
      ("locks 10.0.0.1 6379 10.0.0.2 6380", Address.tcp(host: "10.0.0.2", port: 6380)),
      ("locks ::1 1 ::2 2", .tcp(host: "::2", port: 2)),
      ("locks a.example 1 b.example 2", .tcp(host: "b.example", port: 2)),
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
