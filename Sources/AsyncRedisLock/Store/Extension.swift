/// One lease to be prolonged.
package struct Extension: Sendable {
  package let claim: Claim
  package let ttl: Duration
  /// What keys are to be cut to that last far longer, now; nil when they are to be left alone.
  package let longest: @Sendable () -> Duration?
  /// Whether the lease goes on; if not, its release may be on its way, and no extension must follow it.
  package let isWanted: @Sendable () -> Bool

  init(_ lease: Lease, ttl: Duration) {
    claim = lease.claim
    self.ttl = ttl
    longest = { lease.state.cutsTo }
    isWanted = { !lease.hasEnded }
  }
}

/// What became of extensions.
package struct Extended: Sendable {
  /// All keys of those that succeeded live for at least their ttl from here on: the instant before the
  /// question was sent.
  package let sentAt: Instant
  /// What became of each.
  package enum Outcome: Sendable, Equatable {
    /// All its keys were its own, and live for at least its ttl.
    case ours
    /// A key was gone, for good; nothing was changed.
    case deleted
    /// A key was another's, whose value it had, for good; nothing was changed.
    case taken(by: String)
    /// It was not wanted any more; nothing was changed.
    case notAsked
  }

  /// The outcome of each, in order.
  package let outcomes: [Outcome]
  /// What was drawn; empty when it cannot be used.
  package let numbers: Range<UInt64>
  /// How long the keys of some last that last far longer than they were asked to; by index.
  package let remaining: [Int: Duration]

  package init(
    sentAt: Instant, outcomes: [Outcome], numbers: Range<UInt64>, remaining: [Int: Duration] = [:]
  ) {
    self.sentAt = sentAt
    self.outcomes = outcomes
    self.numbers = numbers
    self.remaining = remaining
  }
}
