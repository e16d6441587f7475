import Logging
import Testing

@testable import AsyncRedisLock

@Suite("An extender", .timeLimit(.minutes(2)))
struct ExtenderTests {
  private func makeExtender(of store: StubStore) -> Extender {
    Extender(
      store: store, operationTimeout: .seconds(5),
      reporter: Reporter(logger: Logger(label: "extender"), label: nil))
  }

  /// Makes a lease of a second, extended every 300 ms, that begins now.
  private func makeLease(
    of store: StubStore, onLoss: @escaping @Sendable () -> Void = {}
  ) -> Lease {
    Lease(
      Claim(keys: ["key"], token: "token", ttl: .seconds(1)), numbers: 0..<0,
      state: LeaseState(ttl: .seconds(1), extend: .milliseconds(300), sentAt: store.clock.now),
      minHold: .zero, clock: store.clock, origin: .asked
    ) { _ in onLoss() }
  }

  @Test("If an extension gets no answer, the lease is lost when its validity ends")
  func unansweredExtension() throws {
    let time = HandFiredTime()
    // The store answers no extension.
    let store = StubStore(clock: LockClock(time))
    let extender = makeExtender(of: store)
    let isLost = Shared(false)
    let lease = makeLease(of: store) { isLost.value = true }
    #expect(extender.add(lease))
    let end = lease.state.validUntil
    // The extension, then the end.
    for _ in 0..<2 { try time.fireNext() }
    #expect(time.now == end)
    #expect(isLost.value && lease.hasEnded)
  }

  @Test(
    "If a lease is lost because the process did not run, its reason says so in any case",
    arguments: [false, true])
  func stall(foundByRelease: Bool) throws {
    let time = HandFiredTime()
    let store = StubStore(clock: LockClock(time))
    let extender = makeExtender(of: store)
    let lease = makeLease(of: store)
    #expect(extender.add(lease))
    let due = try #require(time.alarm.value)
    time.present.value = due + .milliseconds(3100)
    #expect(lease.lossExplanation == "this process did not run for 3.1 s")
    if foundByRelease { _ = lease.beginRelease(isAwaited: false) } else { try time.fireNext() }
    #expect(lease.hasEnded && lease.lossReason == .expired)
    time.present.value = due + .seconds(60)
    #expect(lease.lossExplanation == "this process did not run for 3.1 s")
  }

  @Test("If a lease is lost although the process runs, its reason is the last failure")
  func noStall() throws {
    let time = HandFiredTime()
    let store = StubStore(clock: LockClock(time))
    let extender = makeExtender(of: store)
    let lease = makeLease(of: store)
    #expect(extender.add(lease))
    try time.fireNext()
    store.extensions.exchange([]).first?(.failure(.unreachable("no answer in time")))
    while !lease.hasEnded { try time.fireNext() }
    #expect(lease.lossExplanation == "it could not be extended in time: no answer in time")
  }

  @Test("The answer *not ours* also ends the lease to which the token was handed on meanwhile")
  func handedOnMeanwhile() throws {
    let store = StubStore(clock: LockClock(HandFiredTime()))
    let extender = makeExtender(of: store)
    let options = LockOptions(ttl: .seconds(1), extend: .milliseconds(300))
    let lease = makeLease(of: store)
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
    answer(.taken(by: "theirs"))
    #expect(!next.isHeld)
    #expect(next.lossReason == .takenByAnother && next.newHolder?.value == "theirs")
  }
}
