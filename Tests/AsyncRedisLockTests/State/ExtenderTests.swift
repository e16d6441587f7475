import Logging
import Testing

@testable import AsyncRedisLock

@Suite("An extender", .timeLimit(.minutes(2)))
struct ExtenderTests {
  @Test("If an extension gets no answer, the lease is lost when its validity ends")
  func unansweredExtension() throws {
    let time = HandFiredTime()
    // The store answers no extension.
    let store = StubStore(clock: LockClock(time))
    let extender = Extender(
      store: store, operationTimeout: .seconds(5),
      reporter: Reporter(logger: Logger(label: "extender"), label: nil))
    let isLost = Shared(false)
    let lease = Lease(
      Claim(keys: ["key"], token: "token", ttl: .seconds(1)), numbers: 0..<0,
      state: LeaseState(ttl: .seconds(1), extend: .milliseconds(300), sentAt: time.now),
      minHold: .zero, clock: store.clock, origin: .asked
    ) { _ in isLost.value = true }
    #expect(extender.add(lease))
    let end = lease.state.validUntil
    // The extension, then the end.
    for _ in 0..<2 { try time.fireNext() }
    #expect(time.now == end)
    #expect(isLost.value && lease.hasEnded)
  }

  @Test("The answer *not ours* also ends the lease to which the token was handed on meanwhile")
  func handedOnMeanwhile() throws {
    let store = StubStore(clock: LockClock(HandFiredTime()))
    let extender = Extender(
      store: store, operationTimeout: .seconds(5),
      reporter: Reporter(logger: Logger(label: "extender"), label: nil))
    let options = LockOptions(ttl: .seconds(1), extend: .milliseconds(300))
    let lease = Lease(
      Claim(keys: ["key"], token: "token", ttl: .seconds(1)), numbers: 0..<0,
      state: LeaseState(ttl: .seconds(1), extend: .milliseconds(300), sentAt: store.clock.now),
      minHold: .zero, clock: store.clock, origin: .asked
    ) { _ in }
    extender.extend(lease, by: .seconds(1)) { _ in }
    func answer(_ outcome: Extended.Outcome) {
      store.extensions.exchange([]).first?(
        .success(Extended(sentAt: store.clock.now, outcomes: [outcome], numbers: 0..<0)))
    }
    _ = lease.beginRelease(isAwaited: true)
    let next = try #require(lease.handedOn(to: options, isFencing: false, roundTrip: .zero))
    answer(.notAsked)
    #expect(next.isHeld, "the answer was for the former holder, which no longer asks")
    extender.extend(lease, by: .seconds(1)) { _ in }
    answer(.notOurs)
    #expect(!next.isHeld)
    #expect(next.lossReason == .takenAway)
  }
}
