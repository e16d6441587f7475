import ChaosLog
import Testing

@testable import AsyncRedisLock

@Suite("The plan of an acquisition", .timeLimit(.minutes(2)))
struct AcquireStateTests {
  let start = Instant.now

  func makePlan(
    _ options: LockOptions = .init(), waits: Bool = true, operationTimeout: Duration = .seconds(1)
  ) -> AcquireState {
    AcquireState(
      keys: ["key"], options: options, waits: waits, operationTimeout: operationTimeout, now: start)
  }

  func contended(_ remaining: Duration?) -> Acquisition {
    .contended(KeyState(holder: "someone", remaining: remaining))
  }

  /// Delivers an answer, with a store that cannot tell of grants.
  func answer(
    _ plan: inout AcquireState, _ acquisition: Acquisition, at now: Instant,
    roundTrip: Duration, using generator: inout SplitMix
  ) -> AcquireState.Action {
    let action = plan.answered(acquisition, at: now)
    guard case .queue = action else { return action }
    return plan.cannotQueue(at: now, roundTrip: roundTrip, using: &generator)
  }

  @Test("If a plan cannot queue after trouble, it requests at once, whatever it knew before")
  func troubleBetween() {
    var generator = SplitMix(seed: 1)
    var plan = makePlan(LockOptions(retry: .seconds(20), timeout: nil))
    let contended = Acquisition.contended(KeyState(holder: "other", remaining: nil))
    guard case .ask = answer(&plan, contended, at: start, roundTrip: .zero, using: &generator),
      case .queue = plan.answered(contended, at: start),
      case .pause = plan.failed(
        .unreachable("reset"), at: start, roundTrip: .zero, using: &generator)
    else {
      Issue.record("no trouble between")
      return
    }
    guard case .ask = plan.cannotQueue(at: start, roundTrip: .zero, using: &generator) else {
      Issue.record("it waits for long")
      return
    }
  }

  @Test("A plan requests quickly at first, and bounds a request by the smallest of its limits")
  func firstQuestion() throws {
    var plan = makePlan(LockOptions(timeout: .milliseconds(300)))
    guard case .ask(isFirst: true, by: let deadline) = plan.next(at: start) else {
      Issue.record("no first question")
      return
    }
    #expect(deadline == start + .milliseconds(300))
    var patient = makePlan(
      LockOptions(timeout: nil, ttl: .milliseconds(200), extend: nil))
    guard case .ask(isFirst: true, by: let later) = patient.next(at: start) else {
      Issue.record("no first question")
      return
    }
    #expect(later == start + .milliseconds(200))
  }

  @Test("A plan sends one request even if its time is up before it runs, and reports the outcome")
  func belatedQuestion() {
    var generator = SplitMix(seed: 1)
    let late = start + .seconds(2)
    var plan = makePlan()
    guard case .ask(isFirst: true, by: let deadline) = plan.next(at: late), deadline > late else {
      Issue.record("no first question")
      return
    }
    _ = answer(&plan, contended(nil), at: late, roundTrip: .zero, using: &generator)
    #expect(plan.timeUp(at: late)?.code == .timeout)

    var unanswered = makePlan()
    _ = unanswered.next(at: late)
    let failure = StoreFailure.unreachable("the server is not there")
    _ = unanswered.failed(failure, at: deadline, roundTrip: .zero, using: &generator)
    #expect(unanswered.timeUp(at: deadline)?.code == .unreachable)
  }

  @Test("A plan learns the holder of the lock by a second request at once, then pauses")
  func secondQuestion() {
    var generator = SplitMix(seed: 1)
    var plan = makePlan()
    _ = plan.next(at: start)
    guard
      case .ask(isFirst: false, by: _) = answer(
        &plan, contended(nil), at: start, roundTrip: .zero, using: &generator)
    else {
      Issue.record("no second question")
      return
    }
    guard
      case .pause = answer(
        &plan, contended(nil), at: start, roundTrip: .zero, using: &generator)
    else {
      Issue.record("a holder without expiry is polled without a pause")
      return
    }
  }

  @Test(
    "A plan pauses between half and all of retry, no longer than the holder can last",
    arguments: 0..<200)
  func pauses(seed: UInt64) {
    var generator = SplitMix(seed: seed)
    var plan = makePlan()
    _ = plan.next(at: start)
    _ = answer(&plan, contended(nil), at: start, roundTrip: .zero, using: &generator)
    func pause(_ remaining: Duration) -> Duration? {
      let action = answer(
        &plan, contended(remaining), at: start, roundTrip: .zero, using: &generator)
      return if case .pause(until: let instant) = action { start.duration(to: instant) } else {
        nil
      }
    }
    let long = pause(.seconds(3))
    #expect(long.map { $0 >= .milliseconds(50) && $0 <= .milliseconds(100) } == true)
    let short = pause(.milliseconds(20))
    #expect(short.map { $0 <= .milliseconds(21) } == true)
  }

  @Test("A plan leaves time for a last request, then gives up exactly at its deadline")
  func deadline() {
    var generator = SplitMix(seed: 1)
    var plan = makePlan(LockOptions(timeout: .milliseconds(40)))
    _ = plan.next(at: start)
    let state = contended(.seconds(3))
    _ = answer(&plan, state, at: start, roundTrip: .zero, using: &generator)
    guard
      case .pause(until: let last) = answer(
        &plan, state, at: start, roundTrip: .milliseconds(3), using: &generator)
    else {
      Issue.record("no pause")
      return
    }
    #expect(last == start + .milliseconds(34))
    _ = plan.next(at: last)
    guard
      case .pause(until: let end) = answer(
        &plan, state, at: last + .milliseconds(3), roundTrip: .milliseconds(3), using: &generator)
    else {
      Issue.record("no pause")
      return
    }
    #expect(end == start + .milliseconds(40))
    guard case .fail(let error) = plan.next(at: end) else {
      Issue.record("no end")
      return
    }
    #expect(error.code == .timeout)
    #expect(error.waited == .milliseconds(40))
    #expect(error.holder?.value == "someone")
    #expect(error.isRetryable)
  }

  @Test("A plan does not take a lock without remaining validity")
  func tooLate() {
    var plan = makePlan(LockOptions(timeout: nil))
    _ = plan.next(at: start)
    let answer = Acquisition.held(sentAt: start, numbers: 1..<2)
    guard
      case .giveBack = plan.answered(
        answer, at: start + .milliseconds(2968)),
      case .take = plan.answered(
        answer, at: start + .milliseconds(2967))
    else {
      Issue.record("the validity is not checked")
      return
    }
  }

  @Test("A plan fails at once if waiting cannot help, and waits if it can")
  func failures() {
    var generator = SplitMix(seed: 1)
    var plan = makePlan(LockOptions(timeout: .seconds(1)))
    let final = StoreFailure.refused(code: "NOPERM", message: "NOPERM", isTransient: false)
    let transient = StoreFailure.refused(code: "LOADING", message: "LOADING", isTransient: true)
    guard
      case .fail(let error) = plan.failed(final, at: start, roundTrip: .zero, using: &generator)
    else {
      Issue.record("waits for a permission")
      return
    }
    #expect(error.code == .refused && error.serverCode == "NOPERM" && !error.isRetryable)
    guard case .pause = plan.failed(transient, at: start, roundTrip: .zero, using: &generator),
      case .fail(let late) = plan.next(at: start + .seconds(1))
    else {
      Issue.record("does not wait for the server to load")
      return
    }
    #expect(late.code == .refused && late.serverCode == "LOADING" && late.isRetryable)
    guard case .cancel = plan.failed(.cancelled, at: start, roundTrip: .zero, using: &generator)
    else {
      Issue.record("does not pass the cancellation on")
      return
    }
  }

  @Test("At its end, a plan distinguishes a holder from an unreachable server")
  func endsWithTheLastReason() {
    var generator = SplitMix(seed: 1)
    var plan = makePlan()
    _ = plan.failed(.unreachable("refused"), at: start, roundTrip: .zero, using: &generator)
    guard case .fail(let unreachable) = plan.next(at: start + .seconds(1)) else {
      Issue.record("no end")
      return
    }
    #expect(unreachable.code == .unreachable)
    _ = plan.answered(contended(.seconds(1)), at: start)
    guard case .fail(let timeout) = plan.next(at: start + .seconds(1)) else {
      Issue.record("no end")
      return
    }
    #expect(timeout.code == .timeout)
  }

  @Test("A plan queues for held keys, and sends a last request shortly before its end")
  func queues() {
    var plan = makePlan()
    _ = plan.next(at: start)
    guard
      case .queue = plan.answered(
        contended(nil), at: start)
    else {
      Issue.record("does not queue")
      return
    }
    let early = plan.wait(
      until: start + .milliseconds(900), at: start, roundTrip: .milliseconds(3))
    #expect(early.until == start + .milliseconds(900) && !early.asksThen)
    let late = plan.wait(until: start + .seconds(2), at: start, roundTrip: .milliseconds(3))
    #expect(late.until == start + .milliseconds(994) && late.asksThen)
    let last = plan.wait(until: start + .seconds(2), at: late.until, roundTrip: .milliseconds(3))
    #expect(last.until == start + .seconds(1) && !last.asksThen)
    #expect(plan.timeUp(at: start + .milliseconds(999)) == nil)
    #expect(plan.timeUp(at: start + .seconds(1))?.code == .timeout)
  }

  @Test("A plan for a call that does not wait never queues, even after a failure")
  func doesNotQueue() {
    var generator = SplitMix(seed: 1)
    for waits in [false, true] {
      var plan = makePlan(waits: waits)
      _ = plan.next(at: start)
      // The key was gone between two requests, so no holder is known.
      let gone = Acquisition.contended(KeyState(holder: nil, remaining: nil))
      _ = answer(&plan, gone, at: start, roundTrip: .zero, using: &generator)
      let failure = StoreFailure.refused(code: "LOADING", message: "LOADING", isTransient: true)
      guard case .pause = plan.failed(failure, at: start, roundTrip: .zero, using: &generator)
      else {
        Issue.record("no pause")
        return
      }
      #expect(plan.isPolling && plan.wantsToQueue == waits)
    }
  }

  @Test("A plan waits for a holder only if it is told to")
  func leaves() {
    var plan = makePlan(waits: false)
    _ = plan.next(at: start)
    guard
      case .leave = plan.answered(
        contended(nil), at: start)
    else {
      Issue.record("waits")
      return
    }
  }

  @Test(
    "A plan whose turn comes at its end sends no request, since its process had the lock meanwhile")
  func noTime() {
    var plan = makePlan(LockOptions(timeout: .milliseconds(40)))
    plan.gotTurn()
    guard case .fail(let error) = plan.next(at: start + .milliseconds(40)) else {
      Issue.record("the time is up")
      return
    }
    #expect(error.code == .timeout)
  }
}
