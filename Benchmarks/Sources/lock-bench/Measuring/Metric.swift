/// A measured figure, or one derived from others.
enum Metric: String, Codable, CodingKeyRepresentable, CaseIterable {
  case pairsPerSecond, acquireP50, acquireP99, releaseP50, releaseP99
  case handoffsPerSecond, gapP50, gapP99, fewest, most, fewestToMost, overlaps
  case commandsPerPair, commandsPerHandoff, commandsPerSecond
  case clientSeconds, serverSeconds, clientShare, serverShare, othersShare
  case clientPeak, serverMemory, locksLost, locksNotTaken
  case cpuPerPair, clientPerPair, allocations, references

  /// The heading of its column.
  var label: String {
    switch self {
    case .pairsPerSecond: "pairs/s"
    case .acquireP50: "acq p50"
    case .acquireP99: "acq p99"
    case .releaseP50: "rel p50"
    case .releaseP99: "rel p99"
    case .handoffsPerSecond: "handoffs/s"
    case .gapP50: "gap p50"
    case .gapP99: "gap p99"
    case .fewest: "fewest"
    case .most: "most"
    case .fewestToMost: "fewest/most"
    case .overlaps: "overlaps"
    case .commandsPerPair: "cmds/pair"
    case .commandsPerHandoff: "cmds/handoff"
    case .commandsPerSecond: "cmds/s"
    case .clientSeconds: "client s"
    case .serverSeconds: "server s"
    case .clientShare: "client %"
    case .serverShare: "server %"
    case .othersShare: "others %"
    case .clientPeak: "peak MB"
    case .serverMemory: "server MB"
    case .locksLost: "lost"
    case .locksNotTaken: "not taken"
    case .cpuPerPair: "cpu/pair"
    case .clientPerPair: "client/pair"
    case .allocations: "allocations"
    case .references: "retains and releases"
    }
  }

  /// The number of decimals worth showing.
  var digits: Int {
    switch self {
    case .fewestToMost, .clientSeconds, .serverSeconds: 2
    case .acquireP50, .acquireP99, .releaseP50, .releaseP99, .gapP50, .gapP99, .commandsPerPair,
      .commandsPerHandoff, .clientShare, .serverShare, .cpuPerPair,
      .clientPerPair, .allocations:
      1
    default: 0
    }
  }

  /// Whether one bad round is enough to be reported.
  var isFault: Bool { [.locksLost, .locksNotTaken, .overlaps].contains(self) }
}
