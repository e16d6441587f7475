/// How far a connection is from its end, and when it ends at the latest.
///
/// A pure state machine: the time is an argument.
enum ConnectionEnding: Equatable {
  /// All requests are accepted.
  case open
  /// Only requests that give back are accepted; if the connection is closed as well, it ends by that instant.
  case stopped(latestEnd: Instant)
  /// Only such requests are accepted, and the connection ends when they are done, or at that instant.
  case closing(latestEnd: Instant)

  /// Applies the state of the submissions; returns true if that is news, and other requests must be refused.
  mutating func reduce(
    to openness: SubmissionQueue.Openness, at now: Instant, drainingFor drain: Duration
  ) -> Bool {
    switch (self, openness) {
    case (.open, .stopped): self = .stopped(latestEnd: now + drain)
    case (.open, .closing): self = .closing(latestEnd: now + drain)
    case (.stopped(let latestEnd), .closing): self = .closing(latestEnd: latestEnd)
    default: return false
    }
    return true
  }

  /// Whether to end now.
  func isDue(at now: Instant, isDone: Bool) -> Bool {
    if case .closing(let latestEnd) = self { isDone || latestEnd <= now } else { false }
  }

  /// When to end even if work is left.
  var deadline: Instant? { if case .closing(let latestEnd) = self { latestEnd } else { nil } }
}
