/// The growth of a figure, to be drawn.
struct Curve {
  let file: String
  let title: String
  /// The amount that grows.
  let cause: String
  /// The measured figure, with its unit.
  let effect: String
  let amounts: [Int]
  let contestants: [Contestant]
  let metric: Metric
  let measured: @Sendable (_ amount: Int) -> Case

  private static let crowds: [(name: String, cause: String, [Int], @Sendable (Int) -> Crowd)] = [
    ("held", "locks held", [0, 100, 1000, 10_000, 100_000], { Crowd(held: $0) }),
    ("waiters", "tasks that wait for another key", [0, 100, 1000, 10_000], { Crowd(waiters: $0) }),
    ("lockers", "other lockers in the process", [0, 10, 100, 1000], { Crowd(lockers: $0) }),
    // Stands for a year of uptime, in case each pair leaves something behind.
    (
      "uptime", "pairs that the locker has done before", [0, 1000, 10_000, 300_000],
      { Crowd(formerPairs: $0) }
    ),
  ]

  /// All plots.
  static let all: [Curve] =
    [
      Curve(
        file: "throughput", title: "Throughput on one core", cause: "tasks",
        effect: "pairs a second", amounts: [1, 8, 64, 256, 1000, 4000, 10_000],
        contestants: [.library, .floor], metric: .pairsPerSecond,
        measured: { Case(name: "", job: .throughput(tasks: $0)) })
    ]
    + crowds.map { name, cause, amounts, crowd in
      Curve(
        file: "pair-\(name)", title: "CPU time of a pair, client and server", cause: cause,
        effect: "µs", amounts: amounts, contestants: [.library], metric: .cpuPerPair,
        measured: { Case(name: "", job: .pairs(count: 5000), crowd: crowd($0), minimumSeconds: 30) }
      )
    }
    + crowds.map { name, cause, amounts, crowd in
      Curve(
        file: "handoff-\(name)", title: "Median handoff between eight processes",
        cause: cause + ", an eighth in each", effect: "µs", amounts: amounts,
        contestants: [.library], metric: .gapP50,
        measured: { Case(name: "", job: .handoff(tasks: 1), crowd: crowd($0 / 8), processes: 8) }
      )
    }
}
