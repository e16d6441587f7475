/// A claim to be given back.
package struct Release: Sendable {
  package let claim: Claim
  /// Until when the claim's keys can exist if nobody deletes them.
  package let keysLastUntil: Instant
  /// Whether the claim was valid when it was first given back: what a repeated attempt finds gone, or
  /// another's, the one before it has released then.
  package let wasValid: Bool
  /// Whether there was an attempt before this one, whose outcome is not known.
  package private(set) var isRepetition: Bool
  /// Whether a task waits for the outcome: others must not be held up.
  package let isAwaited: Bool
  /// Until when the keys stay as they are, so that nobody else gets them; nil to free them at once.
  package let keptUntil: Instant?
  /// Whether it is one of a valid lock on one key, which nobody is known to wait for, and whose token has not been in
  /// a queue.
  package internal(set) var isPlain = false

  /// Whether keys that are found gone, or another's, were released by an earlier attempt.
  package var isExplained: Bool { wasValid && isRepetition }

  /// The same, after an attempt that may have been carried out.
  var repeated: Self {
    var repeated = self
    repeated.isRepetition = true
    repeated.isPlain = false
    return repeated
  }
}

/// What became of a release.
package struct ReleaseReport: Sendable {
  /// What the store has found: `deleted` for a key that was gone, for whatever reason.
  package let outcome: ReleaseOutcome
  /// Whether somebody else waits for the keys, or has been handed them.
  package let isContended: Bool

  /// The value of a key that is another's; nil if there is none.
  package let holder: String?

  package init(outcome: ReleaseOutcome, isContended: Bool, holder: String? = nil) {
    self.outcome = outcome
    self.isContended = isContended
    self.holder = holder
  }
}
