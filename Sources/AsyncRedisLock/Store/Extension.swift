/// One lease to be prolonged.
package struct Extension: Sendable {
  private let lease: Lease
  package let ttl: Duration
  /// When the lease, or the first of its batch, ends without this extension.
  package let leaseEnd: Instant

  init(_ lease: Lease, ttl: Duration, leaseEnd: Instant) {
    self.lease = lease
    self.ttl = ttl
    self.leaseEnd = leaseEnd
  }

  package var claim: Claim { lease.claim }

  /// Notes that the extension, sent at `sentAt`, was confirmed after its outcome had been told as unknown.
  func confirmLate(sentAt: Instant, remaining: Duration?) {
    lease.extended(by: ttl, sentAt: sentAt, remaining: remaining)
  }

  /// What to ask for when the command is made.
  package struct Terms: Sendable {
    /// Whether the lease goes on.
    ///
    /// If not, its release may be on its way, and no extension must follow it.
    package let isWanted: Bool
    /// How long keys may last at most; longer-lived ones are cut to that.
    ///
    /// Nil to leave them alone.
    package let longest: Duration?
  }

  package var terms: Terms { lease.extensionTerms }
}

/// The outcome of extensions.
package struct Extended: Sendable {
  /// The instant before the request was sent.
  ///
  /// All keys of successful extensions live for at least their ttl from then on.
  package let sentAt: Instant
  /// The outcome of one extension.
  package enum Outcome: Sendable, Equatable {
    /// All keys were the lease's own, and live for at least its ttl.
    case ours
    /// A key was gone, for good; nothing was changed.
    case deleted
    /// Another holder had a key, with this value, for good; nothing was changed.
    case taken(by: String)
    /// The extension was no longer wanted; nothing was changed.
    case notAsked
    /// All keys were the lease's own, but replicas have not confirmed that: the validity must not move.
    case unconfirmed
  }

  /// The outcome of each, in order.
  package let outcomes: [Outcome]
  /// The drawn numbers; empty if they cannot be used.
  package let numbers: Range<UInt64>
  /// How long keys last that last far longer than requested; by index.
  package let remaining: [Int: Duration]

  package init(
    sentAt: Instant, outcomes: [Outcome], numbers: Range<UInt64>, remaining: [Int: Duration] = [:]
  ) {
    self.sentAt = sentAt
    self.outcomes = outcomes
    self.numbers = numbers
    self.remaining = remaining
  }

  /// Puts the outcomes of extensions together that were requested one by one; a failure unless one has succeeded.
  static func all(of results: [Result<Self, StoreFailure>]) -> Result<Self, StoreFailure> {
    var outcomes: [Outcome] = []
    var remaining: [Int: Duration] = [:]
    var sentAt: Instant?
    for result in results {
      switch result {
      case .success(let one):
        if let left = one.remaining[0] { remaining[outcomes.count] = left }
        outcomes += one.outcomes
        sentAt = min(sentAt ?? one.sentAt, one.sentAt)
      case .failure: outcomes.append(.unconfirmed)
      }
    }
    guard let sentAt else { return results[0] }
    return .success(
      Self(sentAt: sentAt, outcomes: outcomes, numbers: 0..<0, remaining: remaining))
  }

  /// Whether a lease was extended.
  package var hasExtended: Bool { outcomes.contains(.ours) }

  /// Whether a lease has lost a key.
  package var hasLost: Bool {
    outcomes.contains { outcome in
      switch outcome {
      case .deleted, .taken: true
      case .ours, .notAsked, .unconfirmed: false
      }
    }
  }

  /// The same if replicas have confirmed nothing of it.
  package var unconfirmed: Self {
    Self(
      sentAt: sentAt, outcomes: outcomes.map { $0 == .ours ? .unconfirmed : $0 }, numbers: 0..<0)
  }
}
