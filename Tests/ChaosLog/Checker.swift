/// Checks whether locks allow a history.
public struct Checker: Sendable {
  let history: History
  let limits: Limits
  let outages: Intervals
  private let stalls: [Int32: Intervals]
  /// When the stalls of all processes began and ended, in order: an hour has too many processes to ask each of
  /// them.
  private let stallStarts: [UInt64]
  private let stallEnds: [UInt64]
  private let forgettings: [Episode]

  /// Prepares to check a history.
  public init(_ history: History, _ limits: Limits) {
    self.history = history
    self.limits = limits
    outages = Intervals(history.episodes(.outage))
    stalls = Dictionary(grouping: history.episodes(.stall), by: \.process)
      .mapValues { Intervals($0) }
    stallStarts = stalls.values.flatMap(\.starts).sorted()
    stallEnds = stalls.values.flatMap(\.ends).sorted()
    forgettings = history.episodes(.forgetting)
  }

  /// Every violation, except for what was left behind.
  public var findings: [Finding] {
    overlapFindings + fenceFindings + lossFindings + registerFindings + gapFindings
      + latenessFindings
  }

  /// Whether the server may have forgotten a lock that was asked for at one instant and relied on until the other.
  ///
  /// A lock that is handed on within a process may have been forgotten before the next holder asked for it, up to
  /// its validity earlier.
  func mayBeForgotten(from start: UInt64, to end: UInt64) -> Bool {
    let validity = 2 * limits.ttl + limits.slack
    return forgettings.contains { $0.touches(start > validity ? start - validity : 0, end) }
  }

  /// How long a process was stalled between two instants.
  func stallTime(of process: Int32, from start: UInt64, to end: UInt64) -> UInt64 {
    stalls[process]?.length(from: start, to: end) ?? 0
  }

  /// How many stalls of processes other than these there were between two instants.
  func stallCount(from start: UInt64, to end: UInt64) -> Int {
    // The stalls that have begun by then, minus those that are over before.
    stallStarts.count(below: end) - stallEnds.count(below: start + 1)
  }
}
