/// The state of an acquisition: when to ask, how long to pause, when to give up.
///
/// A pure state machine: the time is an argument, and the next action is returned.
struct AcquireState {
  /// What to do next.
  enum Action {
    /// Ask the store for the keys; `isFirst` tells the quick first request from repeated ones.
    case ask(isFirst: Bool, by: Instant)
    /// Queue for the keys, or go on doing so.
    case queue
    /// Ask again at an instant.
    case pause(until: Instant)
    /// The caller has the keys.
    case take(sentAt: Instant, numbers: Range<UInt64>)
    /// The caller has the keys, but too late to use them: give them back.
    case giveBack
    /// Another holder has them, and the caller does not want to wait.
    case leave
    case fail(LockError)
    case cancel
  }

  /// How far the call has got with its requests.
  enum Stage: Equatable {
    case new
    /// The last request was sent at this instant.
    case asked(at: Instant)
    /// The keys are requested again and again, because waiters cannot be notified of grants. `inFull` tells
    /// whether the full request, for the holder, the time left, and whether the keys are locks, has been made.
    case polling(askedAt: Instant, inFull: Bool)
  }

  /// What is known about the keys.
  enum Outlook: Equatable {
    case unknown
    /// Other tasks of this process came first.
    case othersFirst
    /// Another holder has them; `isNews` until the answer has been acted upon.
    case held(KeyState, isNews: Bool)
    /// The last request got no answer.
    case trouble(StoreFailure)
  }

  private(set) var stage = Stage.new
  private(set) var outlook = Outlook.unknown
  /// How often the keys were requested while waiters could not be notified of grants.
  private var pollCount = 0
  private let keys: [String]
  /// The identity of the locker, to tell its own locks from other lockers'.
  private let lockerID: String?
  private let ttl: Duration
  private let retry: Duration
  private let timeout: Duration?
  private let waits: Bool
  private let start: Instant
  /// When to give up; nil for never.
  let end: Instant?
  /// How long one request may take.
  private let patience: Duration
  /// How long the first request may take if the time is up by then.
  private let grace: Duration

  /// The time kept free at the end for a last request.
  private static let lastWord = Duration.milliseconds(2)

  init(
    keys: [String], options: LockOptions, waits: Bool, operationTimeout: Duration, now: Instant,
    grace: Duration = .milliseconds(2), lockerID: String? = nil
  ) {
    self.lockerID = lockerID
    self.keys = keys
    ttl = options.ttl
    retry = options.retry
    timeout = options.timeout
    self.waits = waits
    start = now
    patience = min(operationTimeout, options.ttl)
    self.grace = grace
    end = waits ? timeout.map { now + $0 } : now + patience
  }

  /// Whether waiters cannot be notified of grants.
  var isPolling: Bool { if case .polling = stage { true } else { false } }

  /// Whether to queue as soon as waiters can be notified of grants; never for a call that does not wait.
  var wantsToQueue: Bool { waits && isPolling }

  /// Whether to queue even so, as others that are notified might never leave the keys free.
  var wantsToQueueUntold: Bool { wantsToQueue && pollCount >= QueueEntryState.patience }

  /// Why the last request got no answer; nil if it got one.
  var trouble: StoreFailure? { if case .trouble(let failure) = outlook { failure } else { nil } }

  /// The next request, or the failure if the time is up.
  ///
  /// A task that gets to run only then still makes one request: without an answer, it could not tell why it has no
  /// lock.
  mutating func next(at now: Instant) -> Action {
    var deadline = now + patience
    if let end {
      let isAnswered = stage != .new || outlook != .unknown
      if now >= end, isAnswered { return .fail(timeoutError(at: now)) }
      deadline = min(deadline, isAnswered ? end : max(end, now + grace))
    }
    let isFirst = stage == .new
    switch stage {
    case .new, .asked: stage = .asked(at: now)
    case .polling(_, let inFull):
      stage = .polling(askedAt: now, inFull: inFull)
      pollCount += 1
    }
    return .ask(isFirst: isFirst, by: deadline)
  }

  /// Decides what to do with an answer.
  mutating func answered(_ acquisition: Acquisition, at now: Instant) -> Action {
    switch acquisition {
    case .held(let sentAt, let numbers):
      outlook = .unknown
      let isValid = now < LeaseState.validity(of: ttl, sentAt: sentAt)
      return isValid ? .take(sentAt: sentAt, numbers: numbers) : .giveBack
    case .contended(let state):
      note(state, isNews: waits)
      guard !waits else { return .queue }
      return state.holder == nil ? askInFull(at: now) ?? .leave : .leave
    }
  }

  /// Notes the holder of the keys; if the answer does not name it, keeps the name known before.
  private mutating func note(_ state: KeyState, isNews: Bool) {
    var state = state
    if state.holder == nil, case .held(let former, _) = outlook {
      state = KeyState(
        holder: former.holder, remaining: state.remaining, isEndless: state.isEndless)
    }
    outlook = .held(state, isNews: isNews)
  }

  /// Polls from now on, and makes the full request; nil if it has been made.
  private mutating func askInFull(at now: Instant) -> Action? {
    switch stage {
    case .polling(_, inFull: true): return nil
    case .polling, .asked, .new:
      stage = .polling(askedAt: now, inFull: true)
      return next(at: now)
    }
  }

  // MARK: Queueing

  /// Decides what to do while waiters cannot be notified of grants: ask again and again.
  mutating func cannotQueue(
    at now: Instant, roundTrip: Duration, using generator: inout some RandomNumberGenerator
  ) -> Action {
    if let question = askInFull(at: now) { return question }
    guard case .held(let state, isNews: true) = outlook else { return next(at: now) }
    outlook = .held(state, isNews: false)
    // An expiring key notifies no waiter, so pause no longer than the key can last.
    let longest = min(retry, state.remaining.map { $0 + .milliseconds(1) } ?? retry)
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

  /// The failure to report if the time is up; nil otherwise.
  func timeUp(at now: Instant) -> LockError? {
    guard let end, now >= end else { return nil }
    return timeoutError(at: now)
  }

  /// Notes the holder of the keys, as reported by their entry in the server's queue, and why it got no answer
  /// since.
  mutating func heard(_ state: KeyState?, silence: StoreFailure? = nil) {
    if let state, state.holder != nil { outlook = .held(state, isNews: false) }
    if let silence { outlook = .trouble(silence) }
  }

  /// Notes that the task's turn has come, after other tasks of this process.
  mutating func gotTurn() { if outlook == .unknown { outlook = .othersFirst } }

  /// The failure of a task whose time was up before its turn came.
  mutating func missedTurn(
    holder: String?, trouble: StoreFailure?, at now: Instant
  ) -> LockError {
    outlook =
      trouble.map { .trouble($0) } ?? holder.map {
        .held(KeyState(holder: $0, remaining: nil), isNews: false)
      } ?? .othersFirst
    return timeoutError(at: now)
  }

  /// Decides what to do after keys that came too late to use were given back.
  mutating func gaveBack(
    at now: Instant, roundTrip: Duration, using generator: inout some RandomNumberGenerator
  ) -> Action {
    outlook = .trouble(.unreachable("the answer took longer than the lock would have been valid"))
    return pause(retry, at: now, roundTrip, &generator)
  }

  /// Decides what to do after a request without an answer.
  mutating func failed(
    _ failure: StoreFailure, at now: Instant, roundTrip: Duration,
    using generator: inout some RandomNumberGenerator
  ) -> Action {
    switch failure {
    case .cancelled: return .cancel
    case .closed, .unknown, .tlsFailed, .severalSlots, .refused(_, _, isTransient: false):
      return .fail(error(for: failure, at: now))
    case .refused, .unintelligible, .notAcknowledged: outlook = .trouble(failure)
    case .unreachable:
      // If the deadline cut a last request short, that is no news about a server that has answered before.
      switch outlook {
      case .held(let state, _) where wasCutShort(at: now, roundTrip: roundTrip):
        // Another client may hold them by now: no reason to wait for long.
        outlook = .held(state, isNews: false)
      case .trouble where wasCutShort(at: now, roundTrip: roundTrip): break
      case .unknown, .othersFirst, .held, .trouble: outlook = .trouble(failure)
      }
    }
    return pause(min(retry, Self.troublePause), at: now, roundTrip, &generator)
  }

  private func wasCutShort(at now: Instant, roundTrip: Duration) -> Bool {
    switch stage {
    case .new: false
    case .asked(let askedAt), .polling(let askedAt, _):
      askedAt.duration(to: now) < max(roundTrip * 10, Self.fairChance)
    }
  }

  /// A server that does not answer for this long is in trouble.
  private static let fairChance = Duration.milliseconds(50)

  /// The longest pause before a server in trouble is asked again.
  private static let troublePause = Duration.milliseconds(100)

  /// A random share of a pause, so that waiters do not ask in step, cut to leave time for a last request.
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
    var state: KeyState?
    switch outlook {
    case .trouble(let failure): return error(for: failure, at: now)
    case .held(let known, _): state = known
    case .unknown, .othersFirst: break
    }
    let allowed = timeout.map { " (\($0.roundedForMessage))" } ?? ""
    let holder = state?.holder.flatMap { $0.isEmpty ? nil : LockHolder(value: $0) }
    let name = holder?.name(seenBy: lockerID) ?? "another holder"
    let end = state?.isEndless == true ? "; the key never expires" : ""
    return LockError(
      .timeout, "\(name) held the lock for the whole timeout\(allowed)\(end)",
      keys: keys, phase: .acquire, waited: start.duration(to: now), holder: holder)
  }

  private func error(for failure: StoreFailure, at now: Instant) -> LockError {
    LockError(failure, keys: keys, phase: .acquire, waited: start.duration(to: now))
  }
}
