/// The answer to a poll.
package enum PollAnswer: Sendable {
  /// The claim has the keys, counting from the instant before it was sent.
  ///
  /// `wasGranted` tells that the keys had been granted before, without the claim's hearing of it.
  case held(sentAt: Instant, numbers: Range<UInt64>, wasGranted: Bool)
  /// The claim has its place in the queue.
  case waiting(Waiting)
  /// The claim may have the keys, but without usable numbers: poll again.
  case again

  /// What a waiting claim is told; nil for another answer.
  var waiting: Waiting? { if case .waiting(let waiting) = self { waiting } else { nil } }
}

/// The answer for a waiter that has to go on waiting.
package struct Waiting: Sendable {
  package let sentAt: Instant
  /// The fence counter: later grants have larger numbers.
  package let counter: UInt64
  /// A holder, and the shortest time until a key expires.
  package let state: KeyState
  /// Whether a holder will not announce its release.
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
