/// What is known about a place in the server's queue, and what a grant is worth.
///
/// A pure state machine: the time is an argument, and what is to be done is returned.
struct QueueEntryState {
  /// What to do for a place.
  enum Action: Equatable {
    case poll
    /// Nothing before an instant, unless something arrives.
    case wait(until: Instant)
    /// Nothing unless something arrives: the place is refreshed together with others.
    case rest
    /// The keys are the place's, for `ttl` counted from `sentAt`.
    case take(sentAt: Instant, ttl: Duration, numbers: Range<UInt64>)
    /// The token is of no use any more.
    case giveUp(StoreFailure)
  }

  /// The last poll that was answered with "wait".
  private struct Standing {
    let sentAt: Instant
    let ttl: Duration
    let counter: UInt64
  }

  /// Who asks next, and when.
  private enum Next {
    case poll(at: Instant)
    /// A question about many places, which tells less: only whether to go on waiting.
    case refresh(at: Instant)
    case refreshing
  }

  private let retry: Duration
  /// Whether somebody refreshes the place, as long as a poll has nothing else to do.
  private let isRefreshed: Bool
  /// The ttl of the poll under way, and when its answer is due; nil when none is.
  private var asked: (ttl: Duration, deadline: Instant)?
  private var standing: Standing?
  /// A grant that has arrived while a poll was under way: the poll's answer decides what it is worth.
  private var pendingGrant: Range<UInt64>?
  private var following: Next
  /// Whether to ask again as soon as the poll under way is answered: that may have come too early.
  private var isHurried = false
  private var outcome: Action?
  /// Whether the server has granted the keys without saying so, as the last answer had it.
  private(set) var hasMissedGrant = false
  /// Who held a key when last asked.
  private(set) var holder: String?

  /// Waiters ask at least this often, however long their ttl, so that a place soon lapses that nobody
  /// asks for any more.
  private static let longestPause = Duration.seconds(5)

  init(retry: Duration, isRefreshed: Bool = false, at now: Instant) {
    self.retry = retry
    self.isRefreshed = isRefreshed
    following = .poll(at: now)
  }

  /// The longest pause between two polls of a place with a ttl.
  static func pause(ttl: Duration) -> Duration { min(ttl / 3, longestPause) }

  /// How long the server keeps a place without a poll: three times the longest pause, so that two
  /// polls may fail.
  static func lapse(ttl: Duration, operationTimeout: Duration) -> Duration {
    pause(ttl: ttl) * 3 + operationTimeout
  }

  /// Whether the server has confirmed the place.
  var isConfirmed: Bool { standing != nil }

  /// What to do now.
  func next(at now: Instant) -> Action {
    if let outcome { return outcome }
    if let asked { return .wait(until: asked.deadline + Self.longestPause) }
    switch following {
    case .poll(let instant): return instant <= now ? .poll : .wait(until: instant)
    case .refresh, .refreshing: return .rest
    }
  }

  /// When the place is to be refreshed; nil when that is not what comes next.
  var refreshDue: Instant? {
    guard outcome == nil, asked == nil, case .refresh(let instant) = following else { return nil }
    return instant
  }

  // MARK: Events

  mutating func willPoll(ttl: Duration, deadline: Instant) {
    asked = (ttl, deadline)
    isHurried = false
  }

  /// Asks at once, because something may have been missed, or because another ttl is wanted.
  mutating func hurry(at now: Instant) {
    following = .poll(at: now)
    isHurried = true
  }

  /// Takes the answer to the poll under way in.
  ///
  /// `isTold` tells whether grants arrive at present.
  mutating func answered(
    _ answer: Result<PollAnswer, StoreFailure>, isTold: Bool, at now: Instant,
    using generator: inout some RandomNumberGenerator
  ) {
    guard let asked, outcome == nil else { return }
    self.asked = nil
    hasMissedGrant = false
    switch answer {
    case .failure(let failure):
      outcome = .giveUp(failure)
    case .success(.again):
      following = .poll(at: now)
    case .success(.held(let sentAt, let numbers, let wasGranted)):
      hasMissedGrant = wasGranted && pendingGrant == nil
      if now < LeaseState.validity(of: asked.ttl, sentAt: sentAt) {
        outcome = .take(sentAt: sentAt, ttl: asked.ttl, numbers: numbers)
      } else {
        // Too late to be of use; asking again prolongs the keys, if they still are ours.
        following = .poll(at: now)
      }
    case .success(.waiting(let waiting)):
      stand(waiting, ttl: asked.ttl, isTold: isTold, at: now, using: &generator)
      if isHurried { following = .poll(at: now) }
      if let grant = pendingGrant.take() { judge(grant, at: now) }
    }
  }

  /// Notes that the place is about to be refreshed; false when it is not due.
  mutating func willRefresh(at now: Instant) -> Bool {
    guard let refreshDue, refreshDue <= now else { return false }
    following = .refreshing
    return true
  }

  /// Takes the outcome of a refresh in; without one a poll has to find out more.
  mutating func refreshed(
    _ waiting: Waiting?, isTold: Bool, at now: Instant,
    using generator: inout some RandomNumberGenerator
  ) {
    // A poll that was sent meanwhile says more.
    guard outcome == nil, case .refreshing = following, let ttl = standing?.ttl else { return }
    guard let waiting else {
      following = .poll(at: now)
      return
    }
    stand(waiting, ttl: ttl, isTold: isTold, at: now, using: &generator)
  }

  /// Takes a grant in.
  mutating func granted(_ numbers: Range<UInt64>, at now: Instant) {
    guard outcome == nil else { return }
    if asked == nil {
      judge(numbers, at: now)
    } else {
      pendingGrant = numbers
    }
  }

  /// Believes a grant, or asks.
  private mutating func judge(_ numbers: Range<UInt64>, at now: Instant) {
    // A message about a grant that was lost before the last answer must not pass for a new one.
    guard let standing, numbers.lowerBound > standing.counter else { return }
    // The grant was made after the question was sent whose answer was "wait", so the keys last at
    // least as if they had been taken then.
    let end = LeaseState.validity(of: standing.ttl, sentAt: standing.sentAt)
    if now.duration(to: end) >= standing.ttl / 2 {
      outcome = .take(sentAt: standing.sentAt, ttl: standing.ttl, numbers: numbers)
    } else {
      following = .poll(at: now)
    }
  }

  /// Notes that the place waits, and plans the next question.
  private mutating func stand(
    _ waiting: Waiting, ttl: Duration, isTold: Bool, at now: Instant,
    using generator: inout some RandomNumberGenerator
  ) {
    holder = waiting.state.holder
    standing = Standing(sentAt: waiting.sentAt, ttl: ttl, counter: waiting.counter)
    var pause = Self.pause(ttl: ttl)
    // Keys that expire tell nobody.
    if let remaining = waiting.state.remaining { pause = min(pause, remaining + .milliseconds(1)) }
    let mustPoll = waiting.isSilent || !waiting.isHeard || !isTold
    if mustPoll { pause = min(pause, retry * Double.random(in: 0.5...1, using: &generator)) }
    following = isRefreshed && !mustPoll ? .refresh(at: now + pause) : .poll(at: now + pause)
  }
}
