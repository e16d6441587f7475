import ChaosLog
import Testing

@testable import AsyncRedisLock

@Suite("A lease", .timeLimit(.minutes(2)))
struct LeaseStateTests {
  let start = Instant.now

  /// Makes a lease of 3 s, extended every second, taken at the start.
  func makeLease(extend: Duration? = .seconds(1)) -> LeaseState {
    var lease = LeaseState(ttl: .seconds(3), extend: extend, sentAt: start)
    lease.planExtensions(roundTrip: .milliseconds(1), share: 0)
    return lease
  }

  @Test("A lease is valid for its ttl less 1 % and 2 ms, from before the command was sent")
  func validity() {
    let lease = makeLease()
    #expect(lease.validUntil == start + .milliseconds(2968))
    #expect(lease.isHeld(at: start + .milliseconds(2967)))
    #expect(!lease.isHeld(at: start + .milliseconds(2968)))
    #expect(lease.lossReason(at: start + .milliseconds(2968)) == .expired)
  }

  @Test("A lease is extended on time, once at a time")
  func extends() {
    var lease = makeLease()
    #expect(lease.nextEvent == start + .seconds(1))
    #expect(lease.tick(at: start + .milliseconds(900), slack: .milliseconds(5)) == .none)
    #expect(lease.tick(at: start + .milliseconds(996), slack: .milliseconds(5)) == .extend)
    #expect(lease.tick(at: start + .milliseconds(1100), slack: .milliseconds(5)) == .none)
    #expect(lease.nextEvent == lease.validUntil, "its validity may end while that is under way")
    let sentAt = start + .seconds(1)
    #expect(lease.concludeExtension(sentAt: sentAt, at: sentAt, roundTrip: .zero) == .none)
    #expect(lease.nextEvent == start + .seconds(2))
  }

  @Test("A lease is extended before a quarter of its ttl is left, however long the interval")
  func extendsInTime() {
    let lease = makeLease(extend: .milliseconds(2999))
    #expect(lease.nextEvent == lease.validUntil - .milliseconds(750))
  }

  @Test("A lease that is valid until its end is extended before a quarter of its ttl is left, too")
  func extendsInTimeBeforeItsEnd() {
    let end = start + .milliseconds(2900)
    var lease = LeaseState(
      ttl: .seconds(3), extend: .milliseconds(2999), sentAt: start, holdEnd: end)
    lease.planExtensions(roundTrip: .milliseconds(1), share: 0)
    #expect(lease.validUntil == end)
    #expect(lease.nextEvent == start + .milliseconds(2968 - 750))
    #expect(lease.lateness(at: end, roundTrip: .zero) == nil, "it cannot be lost by that")
  }

  @Test("A lease leaves two round trips for its extension")
  func roundTrips() {
    var lease = makeLease(extend: .milliseconds(2999))
    lease.planExtensions(roundTrip: .milliseconds(600), share: 0)
    #expect(lease.nextEvent == lease.validUntil - .milliseconds(1200))
  }

  @Test("A lease is extended up to a tenth earlier, so that many leases do not go in step")
  func stagger() {
    var lease = makeLease()
    lease.planExtensions(roundTrip: .zero, share: 1)
    #expect(lease.nextEvent == start + .milliseconds(900))
  }

  @Test("A lease is valid from when the extension was sent, not from its reply")
  func countsFromSending() {
    var lease = makeLease()
    let sentAt = start + .seconds(1)
    #expect(lease.extended(by: .seconds(3), sentAt: sentAt, at: sentAt + .seconds(1)) == .none)
    #expect(lease.validUntil == sentAt + .milliseconds(2968))
  }

  @Test("A lease is never shortened by an extension")
  func neverShortened() {
    var lease = makeLease()
    _ = lease.extended(by: .seconds(60), sentAt: start, at: start)
    let longest = lease.validUntil
    _ = lease.extended(by: .seconds(3), sentAt: start + .seconds(1), at: start + .seconds(1))
    #expect(lease.validUntil == longest)
  }

  @Test("A lease that is over does not come back, even if the server confirms an extension late")
  func lateExtension() {
    var lease = makeLease()
    let late = start + .seconds(3)
    #expect(
      lease.extended(by: .seconds(3), sentAt: start + .seconds(2), at: late) == .lose(.expired))
    #expect(!lease.isHeld(at: late))
    #expect(lease.hasEnded)
  }

  @Test("The keys of a lease may last as long as the longest extension that was tried")
  func keysLast() {
    var lease = makeLease()
    #expect(lease.keysLastUntil >= start + .seconds(3))
    lease.willExtend(by: .seconds(60), deadline: start + .seconds(1))
    lease.willExtend(by: .seconds(3), deadline: start + .seconds(2))
    #expect(lease.keysLastUntil == start + .seconds(61))
    #expect(lease.validUntil < start + .seconds(3))
  }

  @Test("A lease is retried quickly after an unknown outcome, and ends at its validity")
  func retries() {
    var lease = makeLease()
    var now = start + .seconds(1)
    var attempts = 0
    while lease.tick(at: now, slack: .zero) == .extend {
      attempts += 1
      lease.retryExtension(at: now)
      now = lease.nextEvent ?? now
    }
    #expect(attempts >= 10)
    #expect(now == lease.validUntil)
    #expect(lease.lossReason(at: now) == .expired)
  }

  @Test("A lease is lost once and for good")
  func lostOnce() {
    var lease = makeLease()
    #expect(lease.lose(.deleted) == .lose(.deleted))
    #expect(lease.lose(.expired) == .none)
    #expect(lease.lossReason(at: start) == .deleted)
    #expect(lease.nextEvent == nil)
    #expect(lease.extended(by: .seconds(3), sentAt: start, at: start) == .none)
    #expect(!lease.isHeld(at: start))
  }

  @Test("A lease is over for its handle from the release on")
  func released() {
    var lease = makeLease()
    lease.release(at: start)
    #expect(!lease.isHeld(at: start))
    #expect(lease.lossReason(at: start) == nil)
    #expect(lease.tick(at: start + .seconds(9), slack: .zero) == .none)
  }

  @Test("A lease that is released too late counts as lost")
  func releasedTooLate() {
    var lease = makeLease()
    lease.release(at: start + .seconds(3))
    #expect(lease.lossReason(at: start + .seconds(4)) == .expired)
  }

  @Test("A lease that is handed on keeps its validity until an extension by the next holder's ttl")
  func handedOn() throws {
    var former = makeLease()
    former.release(at: start + .milliseconds(500))
    let now = start + .milliseconds(500)
    var next = try #require(
      LeaseState(
        handedOnBy: former, ttl: .seconds(3), extend: .seconds(2), at: now,
        roundTrip: .milliseconds(450)))
    #expect(next.isHeld(at: now))
    #expect(next.validUntil == former.validUntil)
    next.planExtensions(roundTrip: .zero, share: 0)
    next.planConfirmation(at: now)
    #expect(next.tick(at: now, slack: .zero) == .extend, "less than nine tenths are left")
    _ = next.extended(by: .seconds(3), sentAt: now, at: now)
    #expect(next.validUntil == now + .milliseconds(2968))
  }

  @Test("A fresh lease is handed on without an extension")
  func handedOnFresh() throws {
    let now = start + .milliseconds(50)
    var next = try #require(
      LeaseState(
        handedOnBy: makeLease(), ttl: .seconds(3), extend: nil, at: now, roundTrip: .zero))
    next.planExtensions(roundTrip: .zero, share: 0)
    next.planConfirmation(at: now)
    #expect(next.tick(at: now, slack: .zero) == .none)
    var longer = try #require(
      LeaseState(
        handedOnBy: makeLease(), ttl: .seconds(4), extend: nil, at: now, roundTrip: .zero))
    longer.planExtensions(roundTrip: .zero, share: 0)
    longer.planConfirmation(at: now)
    #expect(longer.tick(at: now, slack: .zero) == .extend, "the next holder wants a longer ttl")
    _ = longer.concludeExtension(sentAt: now, at: now, roundTrip: .zero)
    #expect(longer.nextEvent == longer.validUntil, "only once, since it has no extensions")
  }

  @Test("A lease is not handed on for a shorter ttl, or with too little left")
  func notHandedOn() {
    func handOn(
      _ lease: LeaseState, ttl: Duration, at now: Instant, roundTrip: Duration = .seconds(9)
    ) -> LeaseState? {
      LeaseState(handedOnBy: lease, ttl: ttl, extend: nil, at: now, roundTrip: roundTrip)
    }
    let lease = makeLease()
    #expect(handOn(lease, ttl: .seconds(2), at: start) == nil)
    #expect(handOn(lease, ttl: .seconds(3), at: start + .milliseconds(1469)) == nil)
    var prolonged = makeLease()
    prolonged.willExtend(by: .seconds(60), deadline: start)
    #expect(handOn(prolonged, ttl: .seconds(3), at: start) == nil)
  }

  @Test("A lease that the server has not confirmed recently is not handed on")
  func unconfirmedHandoff() {
    func isHandedOn(after age: Duration, confirmedAfter extended: Duration? = nil) -> Bool {
      var lease = makeLease()
      let now = start + age
      if let extended { _ = lease.extended(by: .seconds(3), sentAt: start + extended, at: now) }
      return LeaseState(
        handedOnBy: lease, ttl: .seconds(3), extend: nil, at: now, roundTrip: .milliseconds(10))
        != nil
    }
    #expect(isHandedOn(after: .milliseconds(60)))
    #expect(!isHandedOn(after: .milliseconds(61)))
    #expect(isHandedOn(after: .milliseconds(261), confirmedAfter: .milliseconds(201)))
    #expect(!isHandedOn(after: .milliseconds(262), confirmedAfter: .milliseconds(201)))
  }

  @Test("A granted lease counts from the last poll, with that poll's ttl")
  func granted() {
    let lease = LeaseState(
      ttl: .seconds(30), extend: nil, sentAt: start, takenFor: .seconds(3))
    #expect(lease.validUntil == start + .milliseconds(2968))
  }

  @Test("The only event of a lease without extensions is its end")
  func withoutExtension() {
    let lease = makeLease(extend: nil)
    #expect(lease.nextEvent == lease.validUntil)
  }

  /// Applies random events and checks the rules, whatever the order.
  @Test("A lease keeps its promises under any order of events", arguments: 0..<2000)
  func anyOrder(seed: Int) {
    var generator = SplitMix(seed: UInt64(seed))
    var lease = makeLease()
    var now = start
    var bound = lease.validUntil
    var wasOver = false
    for _ in 0..<60 {
      now += .milliseconds(Int.random(in: 0...700, using: &generator))
      let sentAt = now - .milliseconds(Int.random(in: 0...2000, using: &generator))
      switch Int.random(in: 0..<6, using: &generator) {
      case 0:
        _ = lease.extended(by: .seconds(3), sentAt: sentAt, at: now)
        if !wasOver { bound = max(bound, LeaseState.validity(of: .seconds(3), sentAt: sentAt)) }
      case 1: lease.retryExtension(at: now)
      case 2:
        _ = lease.concludeExtension(sentAt: sentAt, at: now, roundTrip: .zero)
        if !wasOver { bound = max(bound, LeaseState.validity(of: .seconds(3), sentAt: sentAt)) }
      case 3: lease.planExtensions(roundTrip: .zero, share: 0.5)
      case 4 where Int.random(in: 0..<10, using: &generator) == 0: _ = lease.lose(.deleted)
      default: _ = lease.tick(at: now, slack: .milliseconds(5))
      }
      let isHeld = lease.isHeld(at: now)
      #expect(!(wasOver && isHeld), "held again after it was over")
      #expect(!isHeld || now < bound, "held past the confirmed validity")
      wasOver = wasOver || !isHeld
    }
  }

  // MARK: Ends

  @Test("Each event leads from each phase of a lease to the phase in the table")
  func transitions() {
    enum Event: CaseIterable { case lose, release, revoke, giveBackSucceeds, giveBackFails, detach }
    typealias Row = (
      name: String, path: [Event], ending: LeaseState.Ending?, isGiven: Bool,
      next: LeaseState.Releasing
    )
    let valid = LeaseState.Releasing.giveBack(wasValid: true, isRepetition: false)
    let late = LeaseState.Releasing.giveBack(wasValid: false, isRepetition: false)
    let lost = LeaseState.Ending.lost(.deleted)
    let table: [Row] = [
      ("held", [], nil, false, valid),
      ("lost", [.lose], lost, false, late),
      ("lost once", [.lose, .lose], lost, false, late),
      ("released", [.release], .released, true, .wait),
      ("released, then lost", [.release, .lose], .released, true, .wait),
      ("released twice", [.release, .release], .released, true, .wait),
      ("released and done", [.release, .giveBackSucceeds], .released, true, .wait),
      (
        "released in vain", [.release, .giveBackFails], .released, false,
        .giveBack(wasValid: true, isRepetition: true)
      ),
      (
        "released in vain, then again", [.release, .giveBackFails, .release], .released, true, .wait
      ),
      ("revoked", [.revoke], .revoked, true, .wait),
      ("released, then revoked", [.release, .revoke], .released, true, .wait),
      ("lost, then released", [.lose, .release], lost, true, .wait),
      (
        "lost, then released in vain", [.lose, .release, .giveBackFails], lost, false,
        .giveBack(wasValid: false, isRepetition: true)
      ),
      ("detached", [.detach], .detached, true, .wait),
      ("detached, then lost", [.detach, .lose], .detached, true, .wait),
      ("released, then detached", [.release, .detach], .released, true, .wait),
      ("given back without a release", [.giveBackFails, .giveBackSucceeds], nil, false, valid),
    ]
    for row in table {
      var lease = makeLease()
      for event in row.path {
        switch event {
        case .lose: _ = lease.lose(.deleted)
        case .release: lease.release(at: start)
        case .revoke: lease.release(at: start, revokes: true)
        case .giveBackSucceeds: lease.gaveBack(successfully: true)
        case .giveBackFails: lease.gaveBack(successfully: false)
        case .detach: _ = lease.detach(at: start)
        }
      }
      #expect(lease.ending == row.ending, "\(row.name)")
      #expect(lease.isBeingReleased == row.isGiven, "\(row.name)")
      let next = lease.release(at: start)
      #expect(next == row.next, "\(row.name)")
    }
    var expired = makeLease()
    let isDetached = expired.detach(at: start + .seconds(3))
    #expect(!isDetached && expired.ending == nil)
    expired.release(at: start + .seconds(3), revokes: true)
    #expect(expired.ending == .lost(.expired))
  }

  @Test("A longer extension is never cut below its believed end, not even by one under way")
  func cutGrows() {
    let start = Instant.now
    var lease = LeaseState(ttl: .seconds(3), extend: nil, sentAt: start)
    lease.noteRemaining(.seconds(120))
    #expect(lease.cutsTo == .seconds(3))
    // An extension that cuts is sent, and its outcome is unknown.
    lease.willExtend(by: .seconds(3), deadline: start + .seconds(1))
    lease.willExtend(by: .seconds(60), deadline: start + .seconds(1))
    #expect(lease.cutsTo == .seconds(60))
    var known = lease
    _ = known.extended(by: .seconds(60), sentAt: start, at: start)
    #expect(known.validUntil > start + .seconds(59))
    lease.extensionFailed()
    _ = lease.extended(by: .seconds(60), sentAt: start, at: start)
    #expect(lease.validUntil < start + .seconds(3))
  }

  @Test("An extension is repeated more often near the end of the validity")
  func retriesNearTheEnd() {
    var lease = makeLease()
    _ = lease.tick(at: start + .seconds(1), slack: .zero)
    lease.retryExtension(at: start + .seconds(1))
    #expect(lease.nextEvent == start + .milliseconds(1150))
    let late = lease.validUntil - .milliseconds(100)
    _ = lease.tick(at: late, slack: .zero)
    lease.retryExtension(at: late)
    #expect(lease.nextEvent == late + .milliseconds(25))
  }

  @Test("A cut that is under way when a lease is handed on bounds what the next holder believes")
  func cutUnderWayAtHandover() throws {
    var former = makeLease()
    former.noteRemaining(.seconds(120))
    former.willExtend(by: .seconds(3), deadline: start + .seconds(1))
    var next = try #require(
      LeaseState(
        handedOnBy: former, ttl: .seconds(3), extend: nil, at: start, roundTrip: .zero))
    _ = next.extended(by: .seconds(60), sentAt: start, at: start)
    #expect(next.validUntil < start + .seconds(3))
  }

  @Test(
    "Keys that last far longer than requested are cut, and an unknown cut is allowed for")
  func cuts() {
    var lease = makeLease()
    lease.noteRemaining(.seconds(63))
    #expect(lease.cutsTo == nil, "the clocks may differ by that much")
    lease.noteRemaining(.milliseconds(63_001))
    #expect(lease.cutsTo == .seconds(3))
    lease.willExtend(by: .seconds(600), deadline: start)
    lease.noteRemaining(.seconds(660))
    #expect(lease.cutsTo == nil, "an extension requested that much")
    lease.noteRemaining(.seconds(661))
    #expect(lease.cutsTo == .seconds(600))
    lease.retryExtension(at: start)
    lease.noteRemaining(nil)
    #expect(lease.cutsTo == nil)
    _ = lease.extended(by: .seconds(900), sentAt: start, at: start)
    #expect(lease.validUntil < start + .seconds(600), "the cut may come behind the extension")
    var other = makeLease()
    other.retryExtension(at: start)
    _ = other.extended(by: .seconds(900), sentAt: start, at: start)
    #expect(other.validUntil > start + .seconds(800), "the failed extension cut nothing")
  }
}
