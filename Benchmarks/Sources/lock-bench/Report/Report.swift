import Foundation

/// All figures of a run of the program, and under what circumstances they were taken.
struct Report: Codable {
  var circumstances: [String]
  var cases: [CaseReport] = []

  /// The report for machines.
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
    hiredis, called directly; *crate's algorithm* is that of the Rust crate, on the same hiredis. The
    column behind a figure is the median of its ratios to the floor of the same round. Times are in
    µs, CPU time of client and server in seconds or in percent of a core; *cpu/pair* is both together, in µs;
    *others %* is what everything else has used meanwhile, on the pinned core or on all of them, and a `!` marks a row
    that was disturbed by more than 10 %; *peak MB* is of all client processes;
    *fewest* and *most* are the turns of a contender, counted over whole laps after the first;
    *lost* locks and *overlaps*, two holders at once, are those of the worst round.
    """
}
