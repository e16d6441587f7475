/// All that was noted in a log, as input for the checks.
public struct History: Sendable {
  /// Every attempt to take a key.
  public var attempts: [Record] = []
  /// The events on the server and in processes.
  public var episodes: [Episode] = []
  /// The final values of the guarded registers, by the number of the key.
  public var registers: [UInt64] = []
  /// The final values of the unguarded registers.
  public var twins: [UInt64] = []

  /// A history in which nothing has happened yet.
  public init() {}

  /// All attempts that became holdings, by key, in the order of holding.
  public var holdings: [Int: [Record]] {
    Dictionary(grouping: attempts.filter(\.isHolding), by: \.key)
      .mapValues { $0.sorted { $0.acquired < $1.acquired } }
  }

  /// The episodes of a kind.
  func episodes(_ kind: Episode.Kind) -> [Episode] { episodes.filter { $0.kind == kind } }
}
