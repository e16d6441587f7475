/// The grants that polls have found before their notices came; decides whether those notices are lost.
///
/// A pure state machine for one connection. One probe is under way at a time.
struct GrantProbes {
  /// The meaning of the answer to a probe.
  enum Outcome: Equatable {
    case done
    /// Further grants were found after the probe was sent.
    case probeAgain
    /// The notice of a grant was sent before the probe, and has not come.
    case lost
  }

  private var isProbing = false
  /// The tokens whose grants were found before the probe was sent.
  private var probed: Set<String> = []
  private var later: Set<String> = []

  /// Notes a token whose grant came without notice; returns true if a probe must be sent for it.
  mutating func add(_ token: String) -> Bool {
    guard !isProbing else {
      later.insert(token)
      return false
    }
    isProbing = true
    probed = [token]
    return true
  }

  /// Whether the notice of a token's grant may still come.
  func contains(_ token: String) -> Bool { probed.contains(token) || later.contains(token) }

  /// Notes that the notice of a grant has come.
  mutating func remove(_ token: String) {
    guard isProbing else { return }
    probed.remove(token)
    later.remove(token)
  }

  /// Notes that the probe was answered.
  mutating func answered() -> Outcome {
    guard probed.isEmpty else {
      self = Self()
      return .lost
    }
    probed = later
    later = []
    isProbing = !probed.isEmpty
    return isProbing ? .probeAgain : .done
  }
}
