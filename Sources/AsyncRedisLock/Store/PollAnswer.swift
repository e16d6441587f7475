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

  /// What a claim is told that has to wait; nil for another answer.
  var waiting: Waiting? { if case .waiting(let waiting) = self { waiting } else { nil } }
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
