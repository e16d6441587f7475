import Foundation

/// All figures of a run of the program, and the circumstances of the run.
struct Report: Codable {
  var circumstances: [String]
  var cases: [CaseReport] = []

  /// The report in JSON.
  var json: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
  }

  /// How many goals were met.
  var summary: String {
    let verdicts = cases.flatMap(\.verdicts)
    return "\(verdicts.count(where: \.isMet)) of \(verdicts.count) goals are met."
  }

  /// How to read the tables.
  static let legend = """
    Each figure is the median of the rounds; in each round the contestants take turns. *floor* is plain
    hiredis, called directly. *crate's algorithm* is the algorithm of the Rust crate, on the same hiredis. The
    column after a figure is the median of its ratios to the floor of the same round.

    Times are in µs; CPU times of client and server are in seconds or in percent of a core. *cpu/pair* is the
    sum of both, in µs. *others %* is the use by all other processes meanwhile, on the pinned core or on all
    cores. A `!` marks a row with more than 10 % of it. *peak MB* is the sum over all client processes.

    *fewest* and *most* are the turns of a contender, counted over whole laps after the first. *lost* locks and
    *overlaps* (two holders at once) are from the worst round.
    """
}
