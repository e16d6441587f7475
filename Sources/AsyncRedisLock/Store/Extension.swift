/// One lease to be prolonged.
package struct Extension: Sendable {
  package let claim: Claim
  package let ttl: Duration
  /// What keys are to be cut to that last far longer; nil when they are to be left alone.
  package let longest: Duration?
  /// Whether the lease goes on; if not, its release may be on its way, and no extension must follow it.
  package let isWanted: @Sendable () -> Bool

  init(_ lease: Lease, ttl: Duration) {
    claim = lease.claim
    self.ttl = ttl
    longest = lease.state.cutsTo
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
  /// How long the keys of some last that last far longer than they were asked to; by index.
  package let remaining: [Int: Duration]

  package init(
    sentAt: Instant, isOurs: [Bool], numbers: Range<UInt64>, remaining: [Int: Duration] = [:]
  ) {
    self.sentAt = sentAt
    self.isOurs = isOurs
    self.numbers = numbers
    self.remaining = remaining
  }
}
