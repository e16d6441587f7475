/// Limits how often warnings of each kind are logged: the first at once, and those of the next minute as a number.
///
/// A pure state machine: the time is an argument, and the next action is returned.
struct WarningLimit {
  /// A kind of warning with a limit of its own.
  enum Kind: Hashable, CaseIterable {
    case lockLost, lockDropped, extensionLate, extensionFailed, connectionLost, reportsDropped,
      notAcknowledged, sentinelsUnheard
  }

  /// What to do with a warning.
  enum Admission: Equatable {
    case say
    /// Log it at debug only, and the number of them after a pause, unless that has been arranged.
    case count(summaryAfter: Duration?)
  }

  private struct Window {
    let end: Instant
    var heldBack = 0
  }

  static let interval = Duration.seconds(60)

  private var windows: [Kind: Window] = [:]

  /// Decides about a warning that comes now.
  mutating func admit(_ kind: Kind, at now: Instant) -> Admission {
    guard var window = windows[kind], now < window.end || window.heldBack > 0 else {
      windows[kind] = Window(end: now + Self.interval)
      return .say
    }
    window.heldBack += 1
    windows[kind] = window
    return .count(
      summaryAfter: window.heldBack == 1 ? max(now.duration(to: window.end), .zero) : nil)
  }

  /// How many warnings were held back, to be logged now; nothing more is logged for another interval.
  mutating func takeSummary(of kind: Kind, at now: Instant) -> Int {
    guard let window = windows[kind], window.heldBack > 0 else { return 0 }
    windows[kind] = Window(end: now + Self.interval)
    return window.heldBack
  }
}

extension WarningLimit.Kind {
  /// The text of the warning that stands for several.
  func summary(of count: Int) -> String {
    let more = "\(count) more"
    let isOne = count == 1
    return switch self {
    case .lockLost: "\(more) \(isOne ? "lock was" : "locks were") lost"
    case .lockDropped: "\(more) \(isOne ? "lock was" : "locks were") dropped while held"
    case .extensionLate: "\(more) \(isOne ? "lock was" : "locks were") extended late"
    case .extensionFailed: "Extensions have failed \(more) \(isOne ? "time" : "times")"
    case .connectionLost: "The connection was lost \(more) \(isOne ? "time" : "times")"
    case .notAcknowledged:
      "Replicas did not acknowledge \(more) \(isOne ? "lock or extension" : "locks or extensions")"
    case .sentinelsUnheard: "No sentinel answered \(more) \(isOne ? "time" : "times")"
    case .reportsDropped: "Reports were dropped \(more) \(isOne ? "time" : "times")"
    }
  }
}
