/// Why a sentinel has not led to the primary.
struct SentinelFailure: Sendable {
  enum Reason: Sendable {
    /// It does not know the primary.
    case knowsNothing
    /// It has not heard of the last failover.
    case lagsBehind
    case failed(TransportError)
  }

  let sentinel: LockerConfiguration.Address.Sentinel
  let reason: Reason

  /// More would make the message hard to read.
  private static let mostReasons = 5

  /// Says why no sentinel has led to the primary.
  ///
  /// Asking again is of no use only if all sentinels agree on that: one that is dead now may know better.
  static func summary(of failures: [Self], primary: String) -> TransportError {
    let name = primary.abbreviatedForMessage
    if failures.allSatisfy(\.knowsNothing) {
      return .unknownPrimary("no sentinel knows a primary named \(name)")
    }
    if case .failed(.refused(let error)) = failures.first?.reason, failures.allSatisfy(\.isRefused)
    {
      return .refused(error.adding(" (said the sentinels)"))
    }
    if failures.allSatisfy(\.isTLSFailure), case .failed(let cause) = failures.first?.reason {
      return cause
    }
    let texts = failures.prefix(mostReasons).map { "\($0.sentinel): \($0.text)" }
    return .unreachable(
      "no sentinel led to the primary \(name) (\(texts.joined(separator: "; ")))")
  }

  private var knowsNothing: Bool { if case .knowsNothing = reason { true } else { false } }

  private var isRefused: Bool { if case .failed(.refused) = reason { true } else { false } }

  private var isTLSFailure: Bool { if case .failed(.tlsFailed) = reason { true } else { false } }

  private var text: String {
    let cause: TransportError
    switch reason {
    case .knowsNothing: return "it does not know that primary"
    case .lagsBehind: return "it has not heard of the last failover"
    case .failed(let error): cause = error
    }
    switch cause {
    case .timedOut: return "no answer in time"
    case .cancelled, .closed: return "closed"
    case .isCluster: return "it led to a node of a cluster"
    case .connectionLost(let reason), .unreachable(let reason), .notPrimary(let reason),
      .unknownPrimary(let reason), .tlsFailed(let reason), .noCredentials(let reason):
      // The address is named already.
      return reason.replacing("\(sentinel): ", with: "", maxReplacements: 1)
    case .protocolViolation(let what): return "it sent \(what)"
    case .refused(let error), .heldBack(let error): return "it refused: \(error.message)"
    }
  }
}
