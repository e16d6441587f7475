/// What can be said about a history: whether it is one that locks allow.
public struct Checker: Sendable {
  let history: History
  let limits: Limits
  let outages: Intervals
  private let stalls: [Int32: Intervals]
  /// When stalls began and ended, of all processes, in order: an hour has too many processes to ask each.
  private let stallStarts: [UInt64]
  private let stallEnds: [UInt64]
  private let forgettings: [Episode]

  /// Prepares to look at a history.
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

  /// Everything that must not happen and did, but for what was left behind.
  public var findings: [Finding] {
    overlapFindings + fenceFindings + lossFindings + registerFindings + gapFindings
      + latenessFindings
  }

  /// Whether the server may have forgotten a lock that was asked for at the one instant, and relied on up
  /// to the other.
  ///
  /// A lock that is passed on within a process may have been forgotten before the next holder asked for
  /// it, as long ago as it may be valid.
  func mayBeForgotten(from start: UInt64, to end: UInt64) -> Bool {
    let validity = 2 * limits.ttl + limits.slack
    return forgettings.contains { $0.touches(start > validity ? start - validity : 0, end) }
  }

  /// How long a process did not run between two instants.
  func stallTime(of process: Int32, from start: UInt64, to end: UInt64) -> UInt64 {
    stalls[process]?.length(from: start, to: end) ?? 0
  }

  /// How many stalls of other processes than these were there between two instants.
  func stallCount(from start: UInt64, to end: UInt64) -> Int {
    // Those that have begun by then, without those that are over before.
    stallStarts.count(below: end) - stallEnds.count(below: start + 1)
  }
}
