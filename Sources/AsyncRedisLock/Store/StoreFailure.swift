/// Why a store did not answer.
package enum StoreFailure: Error, Sendable, Equatable {
  /// The task was cancelled.
  case cancelled
  /// The store was closed.
  case closed
  /// No answer in time; the text says why.
  case unreachable(String)
  /// The store answered something that is no answer to what was asked.
  case unintelligible(String)
  /// The store refused; `isTransient` tells whether asking again may help.
  case refused(code: String, message: String, isTransient: Bool)

  /// The pause before a store is asked again that could not do something just then.
  static let transientPause = Duration.milliseconds(50)

  /// Whether asking again may help.
  package var isTransient: Bool {
    if case .refused(_, _, isTransient: true) = self { true } else { false }
  }

  /// Whether it makes sense to ask again before a deadline.
  func isTransient(until deadline: Instant, at now: Instant) -> Bool {
    isTransient && now + Self.transientPause < deadline
  }
}
