/// How far a connection is from its end, and when it ends at the latest.
///
/// A pure state machine: the time is an argument.
enum ConnectionEnding: Equatable {
  /// Everything is taken.
  case open
  /// Only what gives back is taken; should the connection be closed as well, it ends at that instant at the latest.
  case stopped(latestEnd: Instant)
  /// The same, and it ends when that is done, or at that instant.
  case closing(latestEnd: Instant)

  /// Notes what the submissions say; true if that is news, and what is not taken any more has to be refused.
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

  /// When to end though something is left to do.
  var deadline: Instant? { if case .closing(let latestEnd) = self { latestEnd } else { nil } }
}
