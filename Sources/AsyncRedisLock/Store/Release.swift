/// A claim to be given back.
package struct Release: Sendable {
  package let claim: Claim
  /// Until when the claim's keys exist for sure unless they are deleted.
  package let validUntil: Instant
  /// Until when the claim's keys can exist unless they are deleted.
  package let keysLastUntil: Instant
  /// Whether the claim was valid when it was first given back.
  ///
  /// If so, and a repeated attempt finds a key gone or another holder's, an earlier attempt has released it.
  package let wasValid: Bool
  /// Whether there was an attempt before this one with an unknown outcome.
  package private(set) var isRepetition: Bool
  /// Whether a task waits for the outcome, and may do the connection's work meanwhile.
  package private(set) var isAwaited: Bool
  /// Until when the keys are kept from other clients; nil to free them at once.
  package let keptUntil: Instant?
  /// Whether the claim's token may have been in a queue.
  let hasQueued: Bool
  /// Whether the release is of a valid lock on one key that has no known waiters, with a token that has not been
  /// in a queue.
  package internal(set) var isPlain = false

  /// Whether an earlier attempt explains that keys are gone or belong to another holder.
  package var isExplained: Bool { wasValid && isRepetition }

  /// The same, if no task may do the connection's work.
  var unawaited: Self {
    var unawaited = self
    unawaited.isAwaited = false
    return unawaited
  }

  /// The same, after an attempt that may have been carried out.
  var repeated: Self {
    var repeated = self
    repeated.isRepetition = true
    repeated.isPlain = false
    return repeated
  }
}

/// The outcome of a release.
package struct ReleaseReport: Sendable {
  /// What the store has found; `deleted` if a key was gone, for whatever reason.
  package let outcome: ReleaseOutcome
  /// Whether another party waits for the keys, or has been handed them.
  package let isContended: Bool

  /// The value of a key that another holder has; nil if there is none.
  package let holder: String?

  package init(outcome: ReleaseOutcome, isContended: Bool, holder: String? = nil) {
    self.outcome = outcome
    self.isContended = isContended
    self.holder = holder
  }
}
