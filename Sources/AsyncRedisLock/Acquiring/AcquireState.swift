/// How an acquisition goes on: when to ask, how long to pause, when to give up.
///
/// A pure state machine: the time is an argument, and what is to be done is returned.
struct AcquireState {
  /// What to do next.
  enum Action {
    /// Ask the store for the keys; `isFirst` tells the quick question from the repeated one.
    case ask(isFirst: Bool, by: Instant)
    /// Queue for the keys, or go on doing so.
    case queue
    /// Ask again at an instant.
    case pause(until: Instant)
    /// The keys are ours.
    case take(sentAt: Instant, numbers: Range<UInt64>)
    /// The keys are ours, but too late to be of use: give them back.
    case giveBack
    /// Somebody else holds them, and the caller does not want to wait.
    case leave
    case fail(LockError)
    case cancel
  }

  private let keys: [String]
  private let options: LockOptions
  private let waits: Bool
  private let start: Instant
  /// Where the steps of the call are noted, if anywhere.
  let trace: AcquisitionTrace?
  /// When to give up; nil for never.
  let end: Instant?
  /// How long one question may take.
  private let patience: Duration
  /// How long the first question may take if the time is up by then.
  private let grace: Duration
  private var hasAsked = false
  /// Whether others of this process came first.
  private var hadToWait = false
  /// Whether the keys are asked for again and again, because grants cannot be told.
  private(set) var isPolling = false
  /// Whether to queue as soon as grants can be told; never for a call that does not wait.
  var wantsToQueue: Bool { waits && isPolling }
  private var hasAskedTwice = false
  private var askedAt: Instant
  private var holder: String?
  /// The last answer of a server that cannot tell of grants.
  private var lastState: KeyState?
  /// Why the last question had no answer; nil when it had one.
  private(set) var trouble: StoreFailure?

  /// Kept free at the end for a last question.
  private static let lastWord = Duration.milliseconds(2)

  init(
    keys: [String], options: LockOptions, waits: Bool, operationTimeout: Duration, now: Instant,
    grace: Duration = .milliseconds(2), trace: AcquisitionTrace? = nil
  ) {
    self.keys = keys
    self.options = options
    self.waits = waits
    self.trace = trace
    start = now
    askedAt = now
    patience = min(operationTimeout, options.ttl)
    self.grace = grace
    end = waits ? options.timeout.map { now + $0 } : now + patience
  }

  /// The next question, or the failure when the time is up.
  ///
  /// A task that gets to run only then has its question all the same: without an answer nobody could say why it
  /// has no lock.
  mutating func next(at now: Instant) -> Action {
    var deadline = now + patience
    if let end {
      let isAnswered = hasAsked || hadToWait || holder != nil || trouble != nil
      if now >= end, isAnswered { return .fail(timeoutError(at: now)) }
      deadline = min(deadline, isAnswered ? end : max(end, now + grace))
    }
    defer { hasAsked = true }
    askedAt = now
    return .ask(isFirst: !hasAsked, by: deadline)
  }

  /// What to do with an answer.
  mutating func answered(_ acquisition: Acquisition, at now: Instant) -> Action {
    trouble = nil
    switch acquisition {
    case .held(let sentAt, let numbers):
      let isValid = now < LeaseState.validity(of: options.ttl, sentAt: sentAt)
      return isValid ? .take(sentAt: sentAt, numbers: numbers) : .giveBack
    case .contended(let state):
      holder = state.holder ?? holder ?? ""
      if waits {
        lastState = state
        return .queue
      }
      isPolling = true
      // The repeated question says more: who holds the keys, for how long, and whether they are locks.
      guard state.holder == nil && !hasAskedTwice else { return .leave }
      hasAskedTwice = true
      return next(at: now)
    }
  }

  // MARK: Queueing

  /// What to do while nobody can be told of grants: ask again and again.
  mutating func cannotQueue(
    at now: Instant, roundTrip: Duration, using generator: inout some RandomNumberGenerator
  ) -> Action {
    isPolling = true
    // The repeated question says more: who holds the keys, for how long, and whether they are locks.
    guard let state = lastState.take(), hasAskedTwice else {
      hasAskedTwice = true
      return next(at: now)
    }
    // A key that expires tells nobody, so nobody waits longer than it can last.
    let longest = min(options.retry, state.remaining.map { $0 + .milliseconds(1) } ?? options.retry)
    return pause(longest, at: now, roundTrip, &generator)
  }

  /// Until when to wait for a grant, and whether to ask once more then, because the time is nearly up.
  func wait(
    until instant: Instant, at now: Instant, roundTrip: Duration
  ) -> (until: Instant, asksThen: Bool) {
    guard let end, instant > end - Self.lastWord else { return (instant, false) }
    let last = end - max(roundTrip * 2, Self.lastWord)
    return now < last ? (last, true) : (min(instant, end), false)
  }

  /// Whether the time is up; then the failure to report.
  func timeUp(at now: Instant) -> LockError? {
    guard let end, now >= end else { return nil }
    return timeoutError(at: now)
  }

  /// Notes what a place has learnt.
  mutating func heard(from entry: QueueEntry) {
    guard let holder = entry.holder else { return }
    self.holder = holder
    trouble = nil
  }

  /// Notes that it is the task's turn, after others of this process.
  mutating func gotTurn() { hadToWait = true }

  /// The failure of a task whose time was up before its turn came.
  mutating func missedTurn(
    holder: String?, trouble: StoreFailure?, at now: Instant
  ) -> LockError {
    self.holder = holder
    self.trouble = trouble
    return timeoutError(at: now)
  }

  /// What to do after keys were given back that came too late to be of use.
  mutating func gaveBack(
    at now: Instant, roundTrip: Duration, using generator: inout some RandomNumberGenerator
  ) -> Action {
    trouble = .unreachable("the answer took longer than the lock would have been valid")
    return pause(options.retry, at: now, roundTrip, &generator)
  }

  /// What to do without an answer.
  mutating func failed(
    _ failure: StoreFailure, at now: Instant, roundTrip: Duration,
    using generator: inout some RandomNumberGenerator
  ) -> Action {
    // What was known of the holder may have changed by now: not a reason to wait for long.
    lastState = nil
    switch failure {
    case .cancelled: return .cancel
    case .closed: return .fail(error(for: failure, at: now))
    case .refused(_, _, let isTransient):
      guard isTransient else { return .fail(error(for: failure, at: now)) }
      trouble = failure
    case .unintelligible:
      trouble = failure
    case .unreachable:
      // A last question that the deadline cut short says nothing new of a server that has answered.
      let wasCutShort = askedAt.duration(to: now) < max(roundTrip * 10, Self.fairChance)
      let hasAnswered = trouble != nil || holder != nil
      if !(wasCutShort && hasAnswered) { trouble = failure }
    }
    return pause(min(options.retry, Self.troublePause), at: now, roundTrip, &generator)
  }

  /// A server that does not answer for this long is in trouble.
  private static let fairChance = Duration.milliseconds(50)

  /// A server in trouble is asked again after this at the latest.
  private static let troublePause = Duration.milliseconds(100)

  /// A random share of a pause, so that waiters do not ask in step, clipped to leave time for a last
  /// question.
  private mutating func pause(
    _ longest: Duration, at now: Instant, _ roundTrip: Duration,
    _ generator: inout some RandomNumberGenerator
  ) -> Action {
    let until = now + longest * Double.random(in: 0.5...1, using: &generator)
    guard let end else { return .pause(until: until) }
    let last = end - max(roundTrip * 2, Self.lastWord)
    if until <= last { return .pause(until: until) }
    return .pause(until: now < last ? last : end)
  }

  // MARK: Errors

  private func timeoutError(at now: Instant) -> LockError {
    if let trouble { return error(for: trouble, at: now) }
    let allowed = options.timeout.map { "\($0)" } ?? "any time"
    return LockError(
      .timeout, "the lock was held by somebody else for all of the timeout (\(allowed))",
      keys: keys, phase: .acquire, waited: start.duration(to: now),
      holder: holder.flatMap { $0.isEmpty ? nil : LockHolder(value: $0) })
  }

  private func error(for failure: StoreFailure, at now: Instant) -> LockError {
    LockError(failure, keys: keys, phase: .acquire, waited: start.duration(to: now))
  }
}
