/// The grants whose notices have not come; decides whether one that must come is lost.
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
  /// The tokens whose grants were found before the probe was sent, and whether the notice must come.
  private var probed: [String: Bool] = [:]
  private var later: [String: Bool] = [:]

  /// Notes a token whose grant came without notice; returns true if a probe must be sent for it.
  ///
  /// If `isOwed` is false, the notice may have been lost with an earlier connection.
  mutating func add(_ token: String, isOwed: Bool = true) -> Bool {
    guard !contains(token) else { return false }
    guard !isProbing else {
      later[token] = isOwed
      return false
    }
    isProbing = true
    probed = [token: isOwed]
    return true
  }

  /// Whether the notice of a token's grant may still come.
  func contains(_ token: String) -> Bool { probed[token] != nil || later[token] != nil }

  /// Notes that the notice of a grant has come.
  mutating func remove(_ token: String) {
    guard isProbing else { return }
    probed[token] = nil
    later[token] = nil
  }

  /// Notes that the probe was answered.
  mutating func answered() -> Outcome {
    guard !probed.values.contains(true) else {
      self = Self()
      return .lost
    }
    probed = later
    later = [:]
    isProbing = !probed.isEmpty
    return isProbing ? .probeAgain : .done
  }
}
