/// Which grants have been found by polls before word of them came, and whether that word is lost.
///
/// A pure state machine, of one connection. One probe is under way at a time.
struct GrantProbes {
  /// What the answer to a probe says.
  enum Outcome: Equatable {
    case done
    /// Further grants were found after the probe was sent.
    case probeAgain
    /// Word of a grant was sent before the probe, and has not come.
    case lost
  }

  private var isProbing = false
  /// Those that were found before the probe was sent.
  private var probed: Set<String> = []
  private var later: Set<String> = []

  /// Notes a token whose grant was not told; true when a probe has to be sent for it.
  mutating func add(_ token: String) -> Bool {
    guard !isProbing else {
      later.insert(token)
      return false
    }
    isProbing = true
    probed = [token]
    return true
  }

  /// Whether word of a token's grant may still come.
  func contains(_ token: String) -> Bool { probed.contains(token) || later.contains(token) }

  /// Notes that word of a grant has come.
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
