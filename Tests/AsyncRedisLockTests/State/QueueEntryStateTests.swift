import ChaosLog
import Testing

@testable import AsyncRedisLock

@Suite("An entry in the queue", .timeLimit(.minutes(2)))
struct QueueEntryStateTests {
  let start = Instant.now
  let ttl = Duration.seconds(3)

  /// Makes an entry that was told "wait" by a poll sent at the start, with the fence counter at 100.
  func makeWaiting(remaining: Duration? = nil, isSilent: Bool = false) -> QueueEntryState {
    var place = QueueEntryState(retry: .milliseconds(100), at: start)
    poll(&place, at: start, answer: wait(sentAt: start, remaining: remaining, isSilent: isSilent))
    return place
  }

  func wait(
    sentAt: Instant, counter: UInt64 = 100, remaining: Duration? = nil, isSilent: Bool = false,
    isHeard: Bool = true
  ) -> Result<PollAnswer, StoreFailure> {
    .success(
      .waiting(
        Waiting(
          sentAt: sentAt, counter: counter, state: KeyState(holder: "other", remaining: remaining),
          isSilent: isSilent, isHeard: isHeard)))
  }

  /// Polls; returns true if the poll has found an untold grant.
  @discardableResult
  func poll(
    _ place: inout QueueEntryState, at now: Instant, answer: Result<PollAnswer, StoreFailure>,
    isTold: Bool = true
  ) -> Bool {
    var generator = SplitMix(seed: 1)
    place.willPoll(ttl: ttl, deadline: now + .seconds(1))
    return place.answered(answer, isTold: isTold, at: now, using: &generator)
  }

  @Test(
    "An entry is polled at once, then a third of the ttl later, or when the holder's key expires")
  func pauses() {
    let fresh = QueueEntryState(retry: .milliseconds(100), at: start)
    #expect(fresh.next(at: start) == .poll)
    #expect(makeWaiting().next(at: start) == .wait(until: start + .seconds(1)))
    #expect(
      makeWaiting(remaining: .milliseconds(200)).next(at: start)
        == .wait(until: start + .milliseconds(201)))
    #expect(makeWaiting().next(at: start + .seconds(1)) == .poll)
    #expect(QueueEntryState.pause(ttl: .seconds(60)) == .seconds(5))
    #expect(QueueEntryState.lapse(ttl: ttl, operationTimeout: .seconds(1)) == .seconds(4))
  }

  @Test("Keys are reserved for a waiter once ten polls in a row have not reached its inbox")
  func reservation() {
    var place = makeWaiting()
    for round in 0..<2 {
      for _ in 0..<10 {
        #expect(!place.wantsReservation, "round \(round)")
        poll(&place, at: start, answer: wait(sentAt: start, isHeard: false))
      }
      #expect(place.wantsReservation)
      poll(&place, at: start, answer: wait(sentAt: start))
    }
  }

  @Test("An entry is polled every retry while grants cannot be told, or the holder tells none")
  func polls() {
    func pause(_ place: QueueEntryState) -> Duration? {
      guard case .wait(until: let instant) = place.next(at: start) else { return nil }
      return start.duration(to: instant)
    }
    for place in [makeWaiting(isSilent: true), untold()] {
      #expect(pause(place).map { $0 >= .milliseconds(50) && $0 <= .milliseconds(100) } == true)
    }
    func untold() -> QueueEntryState {
      var place = QueueEntryState(retry: .milliseconds(100), at: start)
      poll(&place, at: start, answer: wait(sentAt: start), isTold: false)
      return place
    }
  }

  @Test("A grant counts from the last poll that was told to wait")
  func granted() {
    var place = makeWaiting()
    place.granted(101..<102, at: start + .seconds(1))
    #expect(
      place.next(at: start + .seconds(1)) == .take(sentAt: start, ttl: ttl, numbers: 101..<102))
  }

  @Test("A message from before the last answer does not grant an entry")
  func stale() {
    var place = makeWaiting()
    place.granted(100..<101, at: start)
    #expect(place.next(at: start) == .wait(until: start + .seconds(1)))
  }

  @Test("An entry is polled when a grant leaves less than half of the ttl")
  func lateGrant() {
    var place = makeWaiting()
    let late = start + .milliseconds(1469)
    place.granted(101..<102, at: late)
    #expect(place.next(at: late) == .poll)
    var timely = makeWaiting()
    timely.granted(101..<102, at: start + .milliseconds(1468))
    #expect(timely.next(at: late) == .take(sentAt: start, ttl: ttl, numbers: 101..<102))
  }

  @Test("The answer to a poll under way decides about an entry's grant")
  func grantDuringPoll() {
    var generator = SplitMix(seed: 1)
    let now = start + .seconds(1)
    var believed = makeWaiting()
    believed.willPoll(ttl: ttl, deadline: now + .seconds(1))
    believed.granted(105..<106, at: now)
    guard case .wait = believed.next(at: now) else {
      Issue.record("believes a grant with a poll under way")
      return
    }
    var (stale, held) = (believed, believed)
    believed.answered(wait(sentAt: now, counter: 104), isTold: true, at: now, using: &generator)
    #expect(believed.next(at: now) == .take(sentAt: now, ttl: ttl, numbers: 105..<106))
    stale.answered(wait(sentAt: now, counter: 105), isTold: true, at: now, using: &generator)
    #expect(stale.next(at: now) == .wait(until: now + .seconds(1)))
    let hasMissed = held.answered(
      .success(.held(sentAt: now, numbers: 106..<107, wasGranted: true)), isTold: true, at: now,
      using: &generator)
    #expect(held.next(at: now) == .take(sentAt: now, ttl: ttl, numbers: 106..<107))
    #expect(!hasMissed)
  }

  @Test("An entry counts a grant as missed if only a poll tells of it")
  func missedGrant() {
    let now = start + .seconds(1)
    func misses(_ place: inout QueueEntryState, _ answer: PollAnswer) -> Bool {
      poll(&place, at: now, answer: .success(answer))
    }
    var (granted, taken, late) = (makeWaiting(), makeWaiting(), makeWaiting())
    #expect(misses(&granted, .held(sentAt: now, numbers: 9..<10, wasGranted: true)))
    #expect(!misses(&taken, .held(sentAt: now, numbers: 9..<10, wasGranted: false)))
    #expect(misses(&late, .held(sentAt: start - ttl, numbers: 9..<10, wasGranted: true)))
    #expect(late.next(at: now) == .poll)
    // A single miss is no reason to assume more.
    #expect(!poll(&late, at: now, answer: wait(sentAt: now)))
  }

  @Test("An entry is polled again for keys that came too late or without a number")
  func again() {
    var late = QueueEntryState(retry: .milliseconds(100), at: start)
    let now = start + .milliseconds(2968)
    late.willPoll(ttl: ttl, deadline: now)
    var generator = SplitMix(seed: 1)
    late.answered(
      .success(.held(sentAt: start, numbers: 9..<10, wasGranted: false)), isTold: true, at: now,
      using: &generator)
    #expect(late.next(at: now) == .poll)
    var numberless = makeWaiting()
    poll(&numberless, at: start, answer: .success(.again))
    #expect(numberless.next(at: start) == .poll)
  }

  @Test("If something was missed after the poll under way was sent, an entry is polled again")
  func hurried() {
    var generator = SplitMix(seed: 1)
    var place = makeWaiting()
    place.hurry(at: start)
    #expect(place.next(at: start) == .poll)
    place.willPoll(ttl: ttl, deadline: start + .seconds(1))
    place.hurry(at: start)
    place.answered(wait(sentAt: start), isTold: true, at: start, using: &generator)
    #expect(place.next(at: start) == .poll)
    poll(&place, at: start, answer: wait(sentAt: start))
    #expect(place.next(at: start) == .wait(until: start + .seconds(1)))
  }

  @Test("If the outcome of a poll is unknown, an entry is given up for good")
  func givenUp() {
    var place = makeWaiting()
    poll(&place, at: start, answer: .failure(.unreachable("gone")))
    #expect(place.next(at: start) == .giveUp(.unreachable("gone")))
    place.granted(200..<201, at: start)
    #expect(place.next(at: start) == .giveUp(.unreachable("gone")))
  }

  /// Applies random events and checks the rules, whatever the order.
  @Test("An entry keeps its promises under any order of events", arguments: 0..<2000)
  func anyOrder(seed: Int) {
    var generator = SplitMix(seed: UInt64(seed))
    var place = QueueEntryState(retry: .milliseconds(100), at: start)
    var now = start
    var isAsking = false
    var standing: (sentAt: Instant, counter: UInt64)?
    for _ in 0..<60 {
      now += .milliseconds(Int.random(in: 0...500, using: &generator))
      let sentAt = now - .milliseconds(Int.random(in: 0...300, using: &generator))
      let counter = UInt64.random(in: 1...200, using: &generator)
      switch Int.random(in: 0..<4, using: &generator) {
      case 0 where !isAsking && place.next(at: now) == .poll:
        place.willPoll(ttl: ttl, deadline: now + .seconds(1))
        isAsking = true
      case 1 where isAsking:
        place.answered(
          wait(sentAt: sentAt, counter: counter), isTold: true, at: now, using: &generator)
        (isAsking, standing) = (false, (sentAt, counter))
      case 2: place.granted(counter..<counter + 1, at: now)
      default: place.hurry(at: now)
      }
      guard case .take(let from, _, let numbers) = place.next(at: now) else { continue }
      #expect(!isAsking, "believed a grant with a poll under way")
      #expect(from == standing?.sentAt, "valid from another instant than the last poll's")
      #expect(numbers.lowerBound > standing?.counter ?? .max, "believed a stale grant")
      return
    }
  }

  // MARK: Refreshes

  /// Makes an entry that others refresh, told "wait" by a poll sent at the start.
  private func makeRefreshed(isSilent: Bool = false, isHeard: Bool = true, isTold: Bool = true)
    -> QueueEntryState
  {
    var place = QueueEntryState(retry: .milliseconds(100), isRefreshed: true, at: start)
    poll(
      &place, at: start, answer: wait(sentAt: start, isSilent: isSilent, isHeard: isHeard),
      isTold: isTold)
    return place
  }

  private func willRefresh(_ place: inout QueueEntryState, at now: Instant) -> Bool {
    place.willRefresh(at: now)
  }

  private func refresh(
    _ place: inout QueueEntryState, at now: Instant, counter: UInt64? = 100, isTold: Bool = true
  ) {
    var generator = SplitMix(seed: 1)
    var waiting: Waiting?
    if let counter, case .success(.waiting(let answer)) = wait(sentAt: now, counter: counter) {
      waiting = answer
    }
    place.refreshed(waiting, isTold: isTold, at: now, using: &generator)
  }

  @Test("An entry that is heard and told rests until it is refreshed, and any other polls")
  func restsUntilRefreshed() {
    let place = makeRefreshed()
    #expect(place.next(at: start + .seconds(9)) == .rest)
    #expect(place.refreshDue == start + .seconds(1))
    for mustPoll in [
      makeRefreshed(isSilent: true), makeRefreshed(isHeard: false), makeRefreshed(isTold: false),
    ] {
      #expect(mustPoll.refreshDue == nil)
      #expect(mustPoll.next(at: start + .seconds(1)) == .poll)
    }
  }

  @Test("A refresh schedules the next one, and one without an outcome makes the entry poll")
  func refreshesGoOn() {
    var place = makeRefreshed()
    let due = start + .seconds(1)
    #expect(!willRefresh(&place, at: start), "it is not due")
    #expect(willRefresh(&place, at: due))
    #expect(!willRefresh(&place, at: due), "one request at a time")
    refresh(&place, at: due)
    #expect(place.next(at: due) == .rest)
    #expect(place.refreshDue == due + .seconds(1))
    #expect(willRefresh(&place, at: due + .seconds(1)))
    refresh(&place, at: due + .seconds(1), counter: nil)
    #expect(place.next(at: due + .seconds(1)) == .poll)
    #expect(place.refreshDue == nil)
    var untold = makeRefreshed()
    #expect(willRefresh(&untold, at: due))
    refresh(&untold, at: due, isTold: false)
    #expect(untold.refreshDue == nil)
  }

  @Test("If a poll has overtaken a refresh, the outcome of the refresh changes nothing")
  func overtakenRefresh() {
    var place = makeRefreshed()
    #expect(willRefresh(&place, at: start + .seconds(1)))
    place.hurry(at: start + .seconds(1))
    #expect(place.next(at: start + .seconds(1)) == .poll)
    refresh(&place, at: start + .seconds(1), counter: 300)
    #expect(place.next(at: start + .seconds(1)) == .poll)
    poll(&place, at: start + .seconds(1), answer: wait(sentAt: start + .seconds(1)))
    refresh(&place, at: start + .seconds(1), counter: 300)
    place.granted(200..<201, at: start + .seconds(1))
    #expect(
      place.next(at: start + .seconds(1))
        == .take(sentAt: start + .seconds(1), ttl: ttl, numbers: 200..<201))
  }

  @Test("A grant is valid from the last refresh on, and only if it was made later")
  func grantAfterRefresh() {
    var place = makeRefreshed()
    let due = start + .seconds(1)
    #expect(willRefresh(&place, at: due))
    refresh(&place, at: due, counter: 150)
    place.granted(120..<121, at: due)
    #expect(place.next(at: due) == .rest, "it was lost before the refresh")
    place.granted(151..<152, at: due + .seconds(1))
    #expect(
      place.next(at: due + .seconds(1)) == .take(sentAt: due, ttl: ttl, numbers: 151..<152))
  }
}
