/// The seam between who holds what and how that is kept: a server, memory, later a quorum.
///
/// What has to work while every thread of the cooperative pool is blocked takes a completion instead of
/// being `async`; completions are called once, on any thread, and must not block.
package protocol LockStore: Sendable {
  /// The time that leases in this store are counted by.
  var clock: LockClock { get }

  /// How long an answer takes at present.
  var roundTrip: Duration { get }

  /// Whether locks come with fencing tokens.
  var isFencing: Bool { get }

  /// The random identity that its tokens share.
  var lockerID: String { get }

  /// A token that has never been used, with a label if that is not to be the store's own.
  func makeToken(label: String?) -> String

  /// Waits until the store can be used.
  func connect(by deadline: Instant) async throws(StoreFailure)

  /// Takes all keys of a claim, or none; draws `numbers` fencing tokens with them.
  ///
  /// When this throws, also because the task was cancelled, the store makes sure that nothing stays
  /// behind, and the claim's token must not be used again.
  func acquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition

  /// Takes the keys like ``acquire(_:numbers:by:)``, or tells who holds them and for how long, without queueing.
  ///
  /// Throws under the same conditions, and with the same promise.
  func inquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition

  /// Takes the keys over from a holder that left them to whoever knows its token; draws `numbers` fencing
  /// tokens with them.
  ///
  /// Throws with the same promise: nothing stays behind, of the former holder's either.
  func adopt(
    _ claim: Claim, from token: String, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition

  // MARK: Waiting

  /// Whether a grant that is made now would be told.
  var isTold: Bool { get }

  /// Gets ready to be told of grants; the completion is called when that works, or when an attempt has failed.
  func prepareToWait(completion: @escaping @Sendable (Bool) -> Void)

  /// Passes on what is said about a token, until it is given back or cancelled.
  func listen(for token: String, _ listener: @escaping @Sendable (Notice) -> Void)

  /// Passes on no more about a token whose keys were left to another process, and gives nothing of it back.
  func stopListening(for token: String)

  /// Takes the keys of a claim, or keeps its place in the queue for them for `lapse`.
  ///
  /// Asking again with the same token is safe, one question at a time; after a failure only
  /// ``cancel(_:lapse:)`` is. Draws `numbers` fencing tokens, also with a grant.
  func poll(
    _ claim: Claim, numbers: Int, lapse: Duration, by deadline: Instant,
    completion: @escaping @Sendable (Result<PollAnswer, StoreFailure>) -> Void)

  /// Whether ``refresh(_:by:completion:)`` is worth a call.
  var refreshesEntries: Bool { get }

  /// Keeps places in queues, all in one question; takes and grants nothing.
  ///
  /// The outcome of a place is nil when only a poll can tell what to do. Without an answer nothing is lost.
  func refresh(
    _ places: [EntryRefresh], by deadline: Instant,
    completion: @escaping @Sendable (Result<[Waiting?], StoreFailure>) -> Void)

  /// Gives up a claim that was polled: neither a place nor a key of it stays behind.
  func cancel(_ claim: Claim, lapse: Duration)

  /// Notes that a poll found a grant of a token before word of it came.
  func noteUntoldGrant(of token: String)

  // MARK: Keeping and giving back

  /// Prolongs leases, all in one question; never creates a key, never shortens its life.
  ///
  /// Nobody is harmed when it is repeated. With `numbers`, which goes with one extension only, fencing
  /// tokens are drawn in the same step.
  func extend(
    _ extensions: [Extension], numbers: Int, by deadline: Instant,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void)

  /// Gives the keys of a claim back as far as they are still the claim's.
  ///
  /// Without an outcome by the deadline the completion gets the failure, and the store goes on trying
  /// in the background for as long as the keys can exist.
  func release(
    _ release: Release, by deadline: Instant,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void)

  // MARK: Asking and intervening

  /// Who holds a key, and who waits for it; nil when it is free.
  func inspect(_ key: String, by deadline: Instant) async throws(StoreFailure) -> Inspection?

  /// Frees a key whoever holds it; the former holder's value, or nil when it was free.
  func forceRelease(_ key: String, by deadline: Instant) async throws(StoreFailure) -> String?

  /// Fails what is unanswered and refuses what comes later, but for what gives back and cleans up.
  func stop()

  /// Does what ``stop()`` does, and ends when what was given back before is done or has had its time; the
  /// promise is kept then.
  @discardableResult
  func close() -> Promise<Void>
}

/// What is asked for: keys, under a token that is used for this alone.
package struct Claim: Sendable {
  package let keys: [String]
  package let token: String
  package let ttl: Duration

  package init(keys: [String], token: String, ttl: Duration) {
    self.keys = keys
    self.token = token
    self.ttl = ttl
  }
}

/// The answer to a claim.
package enum Acquisition: Sendable {
  /// The keys are the claim's, counting from the instant before it was sent.
  ///
  /// Without fencing, and sometimes otherwise, there are fewer numbers than were asked for.
  case held(sentAt: Instant, numbers: Range<UInt64>)
  /// Somebody else holds one of the keys.
  case contended(KeyState)
}

/// Who holds a key.
package struct KeyState: Sendable, Hashable {
  /// The key's value; nil when it has not been asked for.
  package let holder: String?
  /// The time until the key expires; nil when it has not been asked for, or when there is no end to it.
  package let remaining: Duration?

  package init(holder: String?, remaining: Duration?) {
    self.holder = holder
    self.remaining = remaining
  }
}

/// The answer to a poll.
package enum PollAnswer: Sendable {
  /// The keys are the claim's, counting from the instant before it was sent.
  ///
  /// `wasGranted` tells keys that had been granted before, which the claim was not told.
  case held(sentAt: Instant, numbers: Range<UInt64>, wasGranted: Bool)
  /// The claim has its place in the queue.
  case waiting(Waiting)
  /// The keys may be the claim's, but without numbers that can be used: poll again.
  case again
}

/// What a waiter is told that has to go on waiting.
package struct Waiting: Sendable {
  package let sentAt: Instant
  /// The fence counter: grants made later have larger numbers.
  package let counter: UInt64
  /// A holder, and the shortest time until a key expires.
  package let state: KeyState
  /// Whether a holder will tell nobody when it releases.
  package let isSilent: Bool
  /// Whether a grant that is made now would reach this waiter.
  package let isHeard: Bool

  package init(
    sentAt: Instant, counter: UInt64, state: KeyState, isSilent: Bool, isHeard: Bool
  ) {
    self.sentAt = sentAt
    self.counter = counter
    self.state = state
    self.isSilent = isSilent
    self.isHeard = isHeard
  }
}

/// A place of a claim to be kept for `lapse`.
package struct EntryRefresh: Sendable {
  package let claim: Claim
  package let lapse: Duration
}

extension LockStore {
  package var refreshesEntries: Bool { false }

  package func refresh(
    _ places: [EntryRefresh], by deadline: Instant,
    completion: @escaping @Sendable (Result<[Waiting?], StoreFailure>) -> Void
  ) { completion(.success(places.map { _ in nil })) }
}

/// What a waiter is told without asking.
package enum Notice: Sendable {
  /// The keys were granted, with these fencing tokens.
  case granted(Range<UInt64>)
  /// Notices may have been lost.
  case mayHaveMissed
}

/// Who holds a key, and who waits for it.
package struct Inspection: Sendable {
  package let state: KeyState
  package let waiterCount: Int
  /// The tokens of the first of them, in order.
  package let waiters: [String]

  package init(state: KeyState, waiterCount: Int, waiters: [String]) {
    self.state = state
    self.waiterCount = waiterCount
    self.waiters = waiters
  }
}

/// What became of a release.
package struct ReleaseReport: Sendable {
  package let outcome: ReleaseOutcome
  /// Whether somebody else waits for the keys, or has been handed them.
  package let isContended: Bool

  package init(outcome: ReleaseOutcome, isContended: Bool) {
    self.outcome = outcome
    self.isContended = isContended
  }
}

/// One lease to be prolonged.
package struct Extension: Sendable {
  package let claim: Claim
  package let ttl: Duration
  /// Whether the lease goes on; if not, its release may be on its way, and no extension must follow it.
  package let isWanted: @Sendable () -> Bool

  init(_ lease: Lease, ttl: Duration) {
    claim = lease.claim
    self.ttl = ttl
    isWanted = { !lease.hasEnded }
  }
}

/// What became of extensions.
package struct Extended: Sendable {
  /// All keys of those that succeeded live for at least their ttl from here on: the instant before the
  /// question was sent.
  package let sentAt: Instant
  /// For each, in order, whether all its keys were its own; if not, or if it was not wanted any more, nothing
  /// was changed.
  package let isOurs: [Bool]
  /// What was drawn; empty when it cannot be used.
  package let numbers: Range<UInt64>

  package init(sentAt: Instant, isOurs: [Bool], numbers: Range<UInt64>) {
    self.sentAt = sentAt
    self.isOurs = isOurs
    self.numbers = numbers
  }
}

/// A claim to be given back.
package struct Release: Sendable {
  package let claim: Claim
  /// Until when the claim's keys can exist if nobody deletes them.
  package let keysLastUntil: Instant
  /// Whether the claim was valid when it was first given back: what a repeated attempt finds gone, or
  /// another's, the one before it has released then.
  package let wasValid: Bool
  /// Whether there was an attempt before this one, whose outcome is not known.
  package let isRepetition: Bool
  /// Whether a task waits for the outcome: others must not be held up.
  package let isAwaited: Bool
  /// Until when the keys stay as they are, so that nobody else gets them; nil to free them at once.
  package let keptUntil: Instant?

  /// Whether keys that are found gone, or another's, were released by an earlier attempt.
  package var isExplained: Bool { wasValid && isRepetition }

  /// The same, after an attempt that may have been carried out.
  var repeated: Self {
    Self(
      claim: claim, keysLastUntil: keysLastUntil, wasValid: wasValid, isRepetition: true,
      isAwaited: isAwaited, keptUntil: keptUntil)
  }
}

/// Why a store did not answer.
package enum StoreFailure: Error, Sendable, Equatable {
  /// The task was cancelled.
  case cancelled
  /// The store was closed.
  case closed
  /// No answer in time; the text says why.
  case unreachable(String)
  /// The store answered something that is no answer to what was asked.
  case unintelligible(String)
  /// The store refused; `isTransient` tells whether asking again may help.
  case refused(code: String, message: String, isTransient: Bool)

  /// The pause before a store is asked again that could not do something just then.
  static let transientPause = Duration.milliseconds(50)

  /// Whether asking again may help.
  package var isTransient: Bool {
    if case .refused(_, _, isTransient: true) = self { true } else { false }
  }

  /// Whether it makes sense to ask again before a deadline.
  func isTransient(until deadline: Instant, at now: Instant) -> Bool {
    isTransient && now + Self.transientPause < deadline
  }
}
