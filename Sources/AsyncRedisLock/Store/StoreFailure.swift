/// Why a store did not answer.
package enum StoreFailure: Error, Sendable, Equatable {
  /// The task was cancelled.
  case cancelled
  /// The store was closed.
  case closed
  /// There was no answer in time; the text says why.
  case unreachable(String)
  /// There is no such store, as far as those know that can tell; the text says more.
  case unknown(String)
  /// The store or this client could not prove its identity; the text says why.
  case tlsFailed(String)
  /// The keys are in different parts of the store, so that none can take all of them; the text says more.
  case severalSlots(String)
  /// The store's answer does not fit the request.
  case unintelligible(String)
  /// The store did what was asked for, but too few replicas have confirmed it; the text says more.
  ///
  /// A claim was given back, and an extension counts for nothing.
  case notAcknowledged(String)
  /// The store refused; `isTransient` tells whether asking again may help.
  case refused(code: String, message: String, isTransient: Bool)

  /// How long to pause before asking again a store that was unable to act just then.
  static let transientPause = Duration.milliseconds(50)

  /// Whether asking again may help.
  package var isTransient: Bool {
    switch self {
    case .refused(_, _, let isTransient): isTransient
    case .notAcknowledged: true
    case .cancelled, .closed, .unreachable, .unknown, .tlsFailed, .severalSlots,
      .unintelligible:
      false
    }
  }

  /// Whether it makes sense to ask again before a deadline.
  func isTransient(until deadline: Instant, at now: Instant) -> Bool {
    isTransient && now + Self.transientPause < deadline
  }
}
