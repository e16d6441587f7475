/// The seam between who holds what and how that is kept: a server, memory, later a quorum.
///
/// What has to work while every thread of the cooperative pool is blocked takes a completion instead of
/// being `async`; completions are called once, on any thread, and must not block.
package protocol LockStore: Sendable {
  /// How long an answer takes at present.
  var roundTrip: Duration { get }

  /// A token that has never been used.
  func makeToken() -> String

  /// Waits until the store can be used.
  func connect(by deadline: Instant) async throws(StoreFailure)

  /// Takes all keys of a claim, or none.
  ///
  /// When this throws, also because the task was cancelled, the store makes sure that nothing stays
  /// behind, and the claim's token must not be used again.
  func acquire(_ claim: Claim, by deadline: Instant) async throws(StoreFailure) -> Acquisition

  /// Asks for the keys again after ``acquire(_:by:)`` found them held; says how long they will be.
  ///
  /// Throws under the same conditions, and with the same promise.
  func poll(_ claim: Claim, by deadline: Instant) async throws(StoreFailure) -> Acquisition

  /// Prolongs leases, all in one batch; never creates a key, never shortens its life.
  func extend(_ extensions: [Extension])

  /// Gives the keys of a claim back as far as they are still the claim's.
  ///
  /// When the call comes before `validUntil`, the reply to a first attempt is lost, and a second one
  /// finds the keys gone, the first is taken to have released them.
  ///
  /// Without an outcome by the deadline the completion gets the failure, and the store goes on trying
  /// in the background for as long as the claim's ttl can last.
  func release(
    _ claim: Claim, validUntil: Instant, by deadline: Instant,
    completion: @escaping @Sendable (Result<ReleaseOutcome, StoreFailure>) -> Void)

  /// Who holds a key; nil when it is free.
  func inspect(_ key: String, by deadline: Instant) async throws(StoreFailure) -> KeyState?

  /// Frees a key whoever holds it; the former holder's value, or nil when it was free.
  func forceRelease(_ key: String, by deadline: Instant) async throws(StoreFailure) -> String?

  /// Fails what is unanswered and refuses what comes later.
  func close()
}

/// What is asked for: keys, under a token that is used for this alone.
package struct Claim: Sendable {
  package let keys: [String]
  package let token: String
  package let ttl: Duration
}

/// The answer to a claim.
package enum Acquisition: Sendable {
  /// The keys are the claim's, counting from the instant before it was sent.
  case held(sentAt: Instant, fencingToken: UInt64?)
  /// Somebody else holds one of the keys.
  case contended(KeyState)
}

/// Who holds a key.
package struct KeyState: Sendable, Hashable {
  /// The key's value; nil when it has not been asked for.
  package let holder: String?
  /// The time until the key expires; nil when it has not been asked for, or when there is no end to it.
  package let remaining: Duration?
}

/// One lease to be prolonged.
package struct Extension: Sendable {
  package let claim: Claim
  package let ttl: Duration
  package let deadline: Instant
  package let completion: @Sendable (ExtensionOutcome) -> Void
}

/// What became of an extension.
package enum ExtensionOutcome: Sendable {
  /// All keys live for at least the ttl, counting from the instant before the command was sent.
  case extended(sentAt: Instant)
  /// A key is gone or another's.
  case notOurs
  /// Nobody knows; asking again does no harm.
  case unknown(StoreFailure)
}

/// Why a store did not answer.
package enum StoreFailure: Error, Sendable, Equatable {
  /// The task was cancelled.
  case cancelled
  /// The store was closed.
  case closed
  /// No answer in time; the text says why.
  case unreachable(String)
  /// The store refused; `isTransient` tells whether asking again may help.
  case refused(code: String, message: String, isTransient: Bool)
}
