/// Separates the logic of locks from their storage: a server, memory, a quorum of servers.
///
/// A method that has to work while every thread of the cooperative pool is blocked takes a completion instead of
/// being `async`. A completion is called once, on any thread, and must not block.
package protocol LockStore: Sendable {
  /// The clock for leases in this store.
  var clock: LockClock { get }

  /// The source of random pauses.
  var randomness: Randomness { get }

  /// How long an answer takes at present.
  var roundTrip: Duration { get }

  /// Whether locks come with fencing tokens.
  var isFencing: Bool { get }

  /// The random identity that is part of all its tokens.
  var lockerID: String { get }

  /// The longest ttl that leases may have, and the longest time for which keys may be kept; nil for any.
  var longestTTL: Duration? { get }

  /// What limits how many calls ask for keys at a time; nil if nothing does.
  var gate: FairGate? { get }

  /// Makes a token for a claim of some keys that has never been used, with a label, or with the store's own if nil.
  func makeToken(for keys: [String], label: String?) -> String

  /// Waits until the store can be used.
  func connect(by deadline: Instant) async throws(StoreFailure)

  /// Takes all keys of a claim, or none; draws `numbers` fencing tokens with them.
  ///
  /// If this throws, also because the task was cancelled, the store makes sure that nothing stays behind. The
  /// claim's token must then not be used again.
  func acquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition

  /// Takes the keys like ``acquire(_:numbers:by:)``, or returns their holder and time left, without queueing.
  ///
  /// Throws under the same conditions, and with the same guarantee.
  func inquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition

  /// Takes the keys over from a holder that left them to any party that knows its token; draws `numbers` fencing
  /// tokens with them.
  ///
  /// Throws with the same guarantee: nothing stays behind, of the former holder's either, unless the store has refused.
  func adopt(
    _ claim: Claim, from token: String, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition

  /// Whether the store can be used now, as far as is known without asking.
  var isConnected: Bool { get }

  /// Asks the store for a sign of life.
  func ping(by deadline: Instant) async throws(StoreFailure)

  // MARK: Waiting

  /// Whether a grant of some keys that is made now would be announced.
  func isTold(of keys: [String]) -> Bool

  /// Whether the queues of some keys may be used although no notice would arrive now.
  func mayQueueUntold(for keys: [String]) -> Bool

  /// Prepares for notices of grants of some keys.
  ///
  /// The completion is called if that works, if it cannot work, or if an attempt has failed. With `isWanted`, it
  /// is not called for an attempt that is followed by others, and maybe never once it is not wanted.
  func prepareToWait(
    for keys: [String], while isWanted: (@Sendable () -> Bool)?,
    completion: @escaping @Sendable (Bool) -> Void)

  /// Passes on notices about a claim's token, until the claim is given back or cancelled.
  func listen(for claim: Claim, _ listener: @escaping @Sendable (Notice) -> Void)

  /// Stops passing on notices about a claim whose keys were left to another process, and gives nothing of it back.
  func stopListening(for claim: Claim)

  /// Takes the keys of a claim, or keeps its place in the queue for them for `lapse`.
  ///
  /// Asking again with the same token is safe, one request at a time; after a failure, only ``cancel(_:lapse:)``
  /// is. Draws `numbers` fencing tokens, also with a grant. With a `reservation`, a key that is next for the claim is
  /// reserved for so long if no notice would reach it.
  func poll(
    _ claim: Claim, numbers: Int, lapse: Duration, reservation: Duration?, by deadline: Instant,
    completion: @escaping @Sendable (Result<PollAnswer, StoreFailure>) -> Void)

  /// Whether ``refresh(_:by:completion:)`` is worth a call.
  var refreshesEntries: Bool { get }

  /// Keeps places in queues, all in one request; takes and grants nothing.
  ///
  /// The outcome of a place is nil if only a poll can tell what to do. If there is no answer, nothing is lost.
  func refresh(
    _ places: [EntryRefresh], by deadline: Instant,
    completion: @escaping @Sendable (Result<[Waiting?], StoreFailure>) -> Void)

  /// Gives up a claim that was polled: neither a place nor a key of it stays behind.
  func cancel(_ claim: Claim, lapse: Duration)

  /// Notes that a poll found a grant of a claim before its notice came.
  func noteUntoldGrant(of claim: Claim)

  // MARK: Keeping and giving back

  /// Tells claims apart that depend on different servers: their extensions share no request.
  func route(of claim: Claim) -> Int

  /// Prolongs leases, all in one request; never creates a key, never shortens its life.
  ///
  /// Safe to repeat. With `numbers`, which goes with one extension only, fencing tokens are drawn in the same
  /// step.
  func extend(
    _ extensions: [Extension], numbers: Int, by deadline: Instant,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void)

  /// Gives back those keys of a claim that it still has.
  ///
  /// If there is no outcome by the deadline, the completion gets the failure. The store then goes on trying in the
  /// background for as long as the keys can exist.
  func release(
    _ release: Release, by deadline: Instant,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void)

  // MARK: Asking and intervening

  /// Returns a key's holder and waiters; nil if it is free.
  func inspect(_ key: String, by deadline: Instant) async throws(StoreFailure) -> Inspection?

  /// Frees a key, even if it is held; returns the former holder's value, or nil if it was free.
  func forceRelease(_ key: String, by deadline: Instant) async throws(StoreFailure) -> String?

  /// Fails open requests and refuses later ones, except those that give back and clean up.
  func stop()

  /// Does what ``stop()`` does. The promise is kept when earlier releases are done or have had their time.
  @discardableResult
  func close() -> Promise<Void>
}

extension LockStore {
  package var isConnected: Bool { true }

  package var longestTTL: Duration? { nil }

  package var gate: FairGate? { nil }

  package func route(of claim: Claim) -> Int { 0 }

  package var refreshesEntries: Bool { false }

  package func refresh(
    _ places: [EntryRefresh], by deadline: Instant,
    completion: @escaping @Sendable (Result<[Waiting?], StoreFailure>) -> Void
  ) { completion(.success(places.map { _ in nil })) }
}
