import ChaosLog
import Foundation

/// The results of running a profile.
struct Summary: Codable {
  /// The troubles that may happen.
  var profile: Profile
  /// The seed of its random numbers.
  var seed: UInt64
  /// How long troubles were injected, in seconds.
  var seconds: Double
  /// How many locks were taken, by key.
  var acquisitions: Int
  /// How many of these went to a waiter that had asked before the former holder gave the key back.
  var handoffs: Int
  /// How many calls got no lock, by reason.
  var failures: [String: Int]
  /// The troubles that were injected.
  var troubles: [Trouble: Int]
  /// How many pairs of leases overlapped, and the longest time in seconds for which two holders acted on one lock.
  var overlaps: Int
  var longestOverlap: Double
  /// Updates of the guarded registers that were lost, and of the unguarded ones.
  var lostUpdates: Int
  var lostTwinUpdates: Int
  /// The longest wait for a lock, in seconds.
  var longestWait: Double
  /// The longest time for which a process did not run, whether or not the nemesis stopped it.
  var longestStall: Double
  /// The violations that were found.
  var findings: [Finding]

  /// Collects the results when the run has been checked.
  init(
    _ profile: Profile, seed: UInt64, seconds: Double, _ history: History, troubles: [Trouble: Int],
    _ findings: [Finding]
  ) {
    let checker = Checker(history, profile.timing.limits)
    let overlaps = checker.overlaps
    self.profile = profile
    self.seed = seed
    self.seconds = seconds
    self.troubles = troubles
    self.findings = findings
    acquisitions = history.attempts.count { $0.isHolding }
    handoffs = checker.handoffs
    failures = history.attempts.filter { $0.acquired == 0 }.reduce(into: [:]) {
      $0["\($1.outcome)", default: 0] += 1
    }
    self.overlaps = overlaps.count
    longestOverlap = overlaps.longest.inSeconds
    lostUpdates = checker.lostUpdates
    lostTwinUpdates = checker.lostTwinUpdates
    longestWait = checker.longestWait.inSeconds
    longestStall =
      history.episodes.filter { $0.kind == .stall }.map { ($0.end - $0.start).inSeconds }.max() ?? 0
  }

  /// The summary for people.
  var text: String {
    var rows = [
      ("acquisitions", "\(acquisitions), \(handoffs) of them by a waiter"),
      ("no lock", Self.list(failures.map { ($0, $1) })),
      (
        "troubles",
        "\(troubles.values.reduce(0, +)): " + Self.list(troubles.map { ($0.rawValue, $1) })
      ),
      ("overlaps", "\(overlaps), the longest for \(Self.seconds(longestOverlap))"),
      ("fence violations", "\(findings.count { $0.kind == .fence })"),
      ("lost updates", "\(lostUpdates) with fences, \(lostTwinUpdates) without"),
      ("longest wait", Self.seconds(longestWait)),
      ("longest stall", Self.seconds(longestStall)),
      ("left behind", findings.contains { $0.kind == .leftBehind } ? "something" : "nothing"),
    ]
    rows.append(("violations", "\(findings.count)"))
    let lines = rows.map { "  \($0.padding(toLength: 18, withPad: " ", startingAt: 0))\($1)" }
    let shown = findings.prefix(20).map { "  ✘ \($0.kind.rawValue): \($0)" }
    return
      (["\(profile.rawValue), seed \(seed), \(Self.seconds(seconds)) of troubles"] + lines + shown)
      .joined(separator: "\n")
  }

  private static func seconds(_ count: Double) -> String {
    "\((count * 1000).rounded() / 1000) s"
  }

  private static func list(_ counts: [(String, Int)]) -> String {
    counts.sorted { ($1.1, $0.0) < ($0.1, $1.0) }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
  }
}
