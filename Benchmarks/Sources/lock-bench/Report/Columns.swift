/// The columns of the table of a job.
struct Columns: Equatable {
  /// The figure whose ratio to the floor is shown behind it.
  let compared: Metric
  let metrics: [Metric]

  init(_ measured: Case) {
    if measured.counts {
      compared = .allocations
      metrics = [.allocations, .references]
      return
    }
    let cost: [Metric] = [.clientSeconds, .serverSeconds, .othersShare, .clientPeak]
    switch measured.job {
    case .pairs:
      compared = .pairsPerSecond
      metrics =
        [
          .pairsPerSecond, .acquireP50, .acquireP99, .releaseP50, .releaseP99, .commandsPerPair,
          .cpuPerPair,
        ] + cost
    case .throughput:
      compared = .pairsPerSecond
      metrics = [.pairsPerSecond, .commandsPerPair, .cpuPerPair, .clientPerPair] + cost
    case .handoff:
      compared = .gapP50
      metrics =
        [
          .gapP50, .gapP99, .handoffsPerSecond, .commandsPerHandoff, .fewest, .most, .overlaps,
        ] + cost
    case .hold:
      compared = .clientShare
      metrics =
        [.clientShare, .serverShare, .commandsPerSecond, .locksLost, .locksNotTaken] + cost + [
          .serverMemory
        ]
    }
  }
}
