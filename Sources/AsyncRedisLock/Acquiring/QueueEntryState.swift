/// The state of a place in the server's queue, which also judges grants.
///
/// A pure state machine: the time is an argument, and the next action is returned.
struct QueueEntryState {
  /// The next action for a place.
  enum Action: Equatable {
    case poll
    /// Nothing before an instant, unless something arrives.
    case wait(until: Instant)
    /// Nothing unless something arrives: the place is refreshed together with others.
    case rest
    /// The place has the keys, for `ttl` counted from `sentAt`.
    case take(sentAt: Instant, ttl: Duration, numbers: Range<UInt64>)
    /// The token is of no further use.
    case giveUp(StoreFailure)
  }

  /// How far the entry has got.
  enum Phase: Equatable {
    /// A poll comes at an instant.
    case due(at: Instant)
    case polling(Poll)
    /// A request about many entries comes at an instant. It tells less: only whether to go on waiting.
    case resting(until: Instant)
    case refreshing
    /// The token has the keys, or is of no further use.
    case over(Action)
  }

  /// A poll under way.
  struct Poll: Equatable {
    let ttl: Duration
    let deadline: Instant
    /// A grant that has arrived meanwhile; the poll's answer decides whether it counts.
    var grant: Range<UInt64>?
    /// Whether to ask again as soon as it is answered, because it may have come too early.
    var isHurried = false
  }

  /// The last poll that was answered with "wait".
  private struct Standing {
    let sentAt: Instant
    let ttl: Duration
    let counter: UInt64
    let holder: String?
  }

  private let retry: Duration
  /// Whether a refresher keeps the place, as long as a poll has nothing else to do.
  private let isRefreshed: Bool
  private(set) var phase: Phase
  private var standing: Standing?
  /// How many answers in a row have said that no grant would reach this waiter.
  private var unheardCount: Int

  /// The holder of a key when last asked.
  var holder: String? { standing?.holder }

  /// Waiters ask at least this often, however long their ttl, so that an abandoned place lapses soon.
  private static let longestPause = Duration.seconds(5)

  /// How many polls such a waiter leaves to others that are notified, before it has keys reserved.
  ///
  /// Until it asks again, no other waiter gets a reserved key: for each such waiter, that is for at most one pause of
  /// eleven.
  static let patience = 10

  /// Whether keys are to be reserved for this waiter.
  var wantsReservation: Bool { unheardCount >= Self.patience }

  /// Creates the state of a new place; `isUntold` tells that as many requests before it could not be notified.
  init(retry: Duration, isRefreshed: Bool = false, isUntold: Bool = false, at now: Instant) {
    self.retry = retry
    unheardCount = isUntold ? Self.patience : 0
    self.isRefreshed = isRefreshed
    phase = .due(at: now)
  }

  /// The longest pause between two polls of a place with this ttl.
  static func pause(ttl: Duration) -> Duration { min(ttl / 3, longestPause) }

  /// How long the server keeps a place without a poll: three times the longest pause, so that two polls may fail.
  static func lapse(ttl: Duration, operationTimeout: Duration) -> Duration {
    pause(ttl: ttl) * 3 + operationTimeout
  }

  /// Decides what to do now.
  func next(at now: Instant) -> Action {
    switch phase {
    case .due(let instant): instant <= now ? .poll : .wait(until: instant)
    case .polling(let poll): .wait(until: poll.deadline + Self.longestPause)
    case .resting, .refreshing: .rest
    case .over(let action): action
    }
  }

  /// When the place is to be refreshed; nil if something else comes next.
  var refreshDue: Instant? { if case .resting(let instant) = phase { instant } else { nil } }

  // MARK: Events

  mutating func willPoll(ttl: Duration, deadline: Instant) {
    if case .over = phase { return }
    phase = .polling(Poll(ttl: ttl, deadline: deadline))
  }

  /// Asks at once, because a notice may have been missed, or because another ttl is wanted.
  mutating func hurry(at now: Instant) {
    switch phase {
    case .over: break
    case .polling(var poll):
      poll.isHurried = true
      phase = .polling(poll)
    case .due, .resting, .refreshing: phase = .due(at: now)
    }
  }

  /// Processes the answer to the poll under way; returns true if the server has granted the keys without a notice.
  ///
  /// `isTold` tells whether notices of grants arrive at present.
  @discardableResult
  mutating func answered(
    _ answer: Result<PollAnswer, StoreFailure>, isTold: Bool, at now: Instant,
    using generator: inout some RandomNumberGenerator
  ) -> Bool {
    guard case .polling(let poll) = phase else { return false }
    switch answer {
    case .failure(let failure): phase = .over(.giveUp(failure))
    case .success(.again): phase = .due(at: now)
    case .success(.held(let sentAt, let numbers, let wasGranted)):
      // If it came too late, the poll prolongs the keys before asking again, provided that the token still has
      // them.
      phase =
        now < LeaseState.validity(of: poll.ttl, sentAt: sentAt)
        ? .over(.take(sentAt: sentAt, ttl: poll.ttl, numbers: numbers)) : .due(at: now)
      return wasGranted && poll.grant == nil
    case .success(.waiting(let waiting)):
      stand(waiting, ttl: poll.ttl, isTold: isTold, at: now, using: &generator)
      if poll.isHurried { phase = .due(at: now) }
      if let grant = poll.grant { judge(grant, at: now) }
    }
    return false
  }

  /// Notes that the place is about to be refreshed; returns false if it is not due.
  mutating func willRefresh(at now: Instant) -> Bool {
    guard let refreshDue, refreshDue <= now else { return false }
    phase = .refreshing
    return true
  }

  /// Processes the outcome of a refresh; if there is none, a poll has to find out more.
  mutating func refreshed(
    _ waiting: Waiting?, isTold: Bool, at now: Instant,
    using generator: inout some RandomNumberGenerator
  ) {
    // A poll that was sent meanwhile says more.
    guard phase == .refreshing, let ttl = standing?.ttl else { return }
    guard let waiting else {
      phase = .due(at: now)
      return
    }
    stand(waiting, ttl: ttl, isTold: isTold, at: now, using: &generator)
  }

  /// Processes a grant.
  mutating func granted(_ numbers: Range<UInt64>, at now: Instant) {
    switch phase {
    case .over: break
    case .polling(var poll):
      poll.grant = numbers
      phase = .polling(poll)
    case .due, .resting, .refreshing: judge(numbers, at: now)
    }
  }

  /// Accepts a grant, or asks.
  private mutating func judge(_ numbers: Range<UInt64>, at now: Instant) {
    // A message about a grant that was lost before the last answer must not pass for a new one.
    guard let standing, numbers.lowerBound > standing.counter else { return }
    // The grant was made after the question was sent whose answer was "wait", so the keys last at
    // least as if they had been taken then.
    let end = LeaseState.validity(of: standing.ttl, sentAt: standing.sentAt)
    if now.duration(to: end) >= standing.ttl / 2 {
      phase = .over(.take(sentAt: standing.sentAt, ttl: standing.ttl, numbers: numbers))
    } else {
      phase = .due(at: now)
    }
  }

  /// Notes that the place waits, and plans the next request.
  private mutating func stand(
    _ waiting: Waiting, ttl: Duration, isTold: Bool, at now: Instant,
    using generator: inout some RandomNumberGenerator
  ) {
    standing = Standing(
      sentAt: waiting.sentAt, ttl: ttl, counter: waiting.counter, holder: waiting.state.holder)
    unheardCount = waiting.isHeard ? 0 : unheardCount + 1
    var pause = Self.pause(ttl: ttl)
    // Expiring keys notify no waiter.
    if let remaining = waiting.state.remaining { pause = min(pause, remaining + .milliseconds(1)) }
    let mustPoll = waiting.isSilent || !waiting.isHeard || !isTold
    if mustPoll { pause = min(pause, retry * Double.random(in: 0.5...1, using: &generator)) }
    phase = isRefreshed && !mustPoll ? .resting(until: now + pause) : .due(at: now + pause)
  }
}
