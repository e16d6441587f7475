import ArgumentParser
import Foundation
import PrivateRedis

/// Measures the library beside its floor and beside the Rust crate's algorithm, and prints the tables.
@main
struct LockBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lock-bench",
    abstract: "Measures async-redis-lock beside plain hiredis and the Rust crate's algorithm.",
    discussion: """
      With the defaults a whole run takes less than five minutes; for steadier figures take \
      --seconds 5 --hold-seconds 10.
      """,
    subcommands: [PlotsCommand.self, WorkerCommand.self])

  @Option(help: "What to measure; may be given several times.")
  var scenario: [Scenario] = Scenario.allCases

  @Option(help: "Rounds, of which the median is printed.")
  var rounds = 3

  @Option(help: "Seconds that a round of tasks or contenders lasts.")
  var seconds = 0.7

  @Option(
    help: "Whole seconds for which locks are held in a round of extension; at least the ttl, 3.")
  var holdSeconds = 3

  @Option(help: "Pairs in a round of one task; a tenth of it in growth.")
  var pairs = 20_000

  @Option(help: "Use this server, which is not placed on a core, instead of one of our own.")
  var url: String?

  @Flag(help: "Let our own server listen on a Unix socket instead of TCP.")
  var unixSocket = false

  @Flag(help: "Print JSON instead of tables.")
  var json = false

  @Option(help: "Write the tables to this file, too, such as Benchmarks/RESULTS.md.")
  var results: String?

  func validate() throws {
    guard rounds > 0, seconds > 0, holdSeconds >= 3, pairs >= 10 else {
      throw ValidationError(
        "rounds and seconds have to be positive, hold-seconds at least 3, pairs at least 10")
    }
  }

  func run() async throws {
    // A worker that has died is told of by its missing output.
    _ = signal(SIGPIPE, SIG_IGN)
    let stage = try Stage(url: url, listen: unixSocket ? .unixSocket : .tcp)
    var report = Report(circumstances: try circumstances(stage))
    var texts = ["# Benchmarks", report.circumstances.map { "- \($0)" }.joined(separator: "\n")]
    texts.append(Report.legend)
    if !json { print(texts.dropFirst().joined(separator: "\n\n")) }
    for scenario in scenario {
      let measured = try measure(scenario, stage)
      report.cases += measured.cases.map(\.report)
      texts.append(measured.text)
      if !json { print("\n" + measured.text) }
    }
    texts.append(report.summary)
    print(json ? try report.json : "\n" + report.summary)
    if let results {
      try (texts.joined(separator: "\n\n") + "\n")
        .write(toFile: results, atomically: true, encoding: .utf8)
    }
  }

  private func measure(_ scenario: Scenario, _ stage: Stage) throws -> ScenarioTables {
    let cases = scenario.cases(pairs: pairs)
    var samples = cases.map { _ in [Contestant: [Sample]]() }
    for round in 1...rounds {
      for (index, measured) in cases.enumerated() {
        for contestant in Contestant.allCases {
          say("\(scenario.rawValue), \(measured.name), \(contestant.label), round \(round)")
          let seconds = max(
            scenario == .extension ? Double(holdSeconds) : seconds, measured.minimumSeconds)
          let sample = try stage.measure(contestant, measured, seconds: seconds)
          samples[index][contestant, default: []].append(sample)
        }
      }
    }
    let first = samples.first?[.library] ?? []
    return ScenarioTables(
      scenario: scenario,
      cases: zip(cases, samples).map { measured, samples in
        (measured, CaseReport(measured, of: scenario, samples, first: first))
      })
  }

  private func circumstances(_ stage: Stage) throws -> [String] {
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let pinned =
      !CPUAffinity.isSupported
      ? "nothing is pinned: this system has no means for it"
      : stage.ownsServer
        ? "one core: client and server are pinned to core \(CPUAffinity.core)"
        : "one core: the client is pinned to core \(CPUAffinity.core), the server is not ours to pin"
    let transport = url.map { _ in "the given URL" } ?? (unixSocket ? "a Unix socket" : "TCP")
    return [
      "\(rounds) rounds of \(seconds.formatted()) s, \(pairs.text) pairs, or \(holdSeconds) s of holding",
      "\(cores) cores, \(pinned)", "\(try stage.serverVersion()), by \(transport)",
    ]
  }

  /// Tells on the standard error what is going on.
  private func say(_ text: String) {
    FileHandle.standardError.write(Data("\(text)\n".utf8))
  }
}
