/// The seam between who holds what and how that is kept: a server, memory, later a quorum.
///

/// What has to work while every thread of the cooperative pool is blocked takes a completion instead of

/// being `async`; completions are called once, on any thread, and must not block.
package protocol LockStore: Sendable {
  /// The time that leases in this store are counted by.
  var clock: LockClock { get }

  /// What pauses are drawn from.
  var randomness: Randomness { get }

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

  /// Whether the store can be used at present, as far as is known without asking.
  var isConnected: Bool { get }

  /// Asks the store for a sign of life.
  func ping(by deadline: Instant) async throws(StoreFailure)

  // MARK: Waiting

  /// Whether a grant of some keys that is made now would be told.
  func isTold(of keys: [String]) -> Bool

  /// Gets ready to be told of grants of some keys.
  ///
  /// The completion is called when that works, when it cannot work, or when an attempt has failed; with `isWanted`, not for
  /// an attempt that is followed by others, and maybe never once it is not wanted.
  func prepareToWait(
    for keys: [String], while isWanted: (@Sendable () -> Bool)?,
    completion: @escaping @Sendable (Bool) -> Void)

  /// Passes on what is said about a claim's token, until it is given back or cancelled.
  func listen(for claim: Claim, _ listener: @escaping @Sendable (Notice) -> Void)

  /// Passes on no more about a claim whose keys were left to another process, and gives nothing of it back.
  func stopListening(for claim: Claim)

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

  /// Notes that a poll found a grant of a claim before word of it came.
  func noteUntoldGrant(of claim: Claim)

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

extension LockStore {
  package var isConnected: Bool { true }

  package var refreshesEntries: Bool { false }

  package func refresh(
    _ places: [EntryRefresh], by deadline: Instant,
    completion: @escaping @Sendable (Result<[Waiting?], StoreFailure>) -> Void
  ) { completion(.success(places.map { _ in nil })) }
}
