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

  @Option(help: "The scenario to measure; may be repeated.")
  var scenario: [Scenario] = Scenario.allCases

  @Option(help: "The contestant to measure; may be repeated.")
  var contestant: [Contestant] = Contestant.allCases

  @Option(help: "The number of rounds; the median is printed.")
  var rounds = 3

  @Option(help: "The length of a round of tasks or contenders, in seconds.")
  var seconds = 0.7

  @Option(
    help: "How long a round of extension holds its locks, in whole seconds; at least the ttl, 3.")
  var holdSeconds = 3

  @Option(help: "The pairs in a round of one task; growth uses a tenth.")
  var pairs = 20_000

  @Option(help: "Use this server, which is not pinned to a core, instead of a private one.")
  var url: String?

  @Flag(help: "Let the private server listen on a Unix socket instead of TCP.")
  var unixSocket = false

  @Flag(help: "Print JSON instead of tables.")
  var json = false

  @Option(help: "Also write the tables to this file, such as Benchmarks/RESULTS.md.")
  var results: String?

  func validate() throws {
    guard rounds > 0, seconds > 0, holdSeconds >= 3, pairs >= 10 else {
      throw ValidationError(
        "rounds and seconds must be positive, hold-seconds at least 3, pairs at least 10")
    }
  }

  func run() async throws {
    // A worker that has died shows by its missing output.
    _ = signal(SIGPIPE, SIG_IGN)
    let stage = try Stage(
      url: url, listen: unixSocket ? .unixSocket : .tcp,
      isEncrypted: scenario.contains(.encryption))
    var report = Report(circumstances: try circumstances(stage))
    var texts = ["# Benchmarks", report.circumstances.map { "- \($0)" }.joined(separator: "\n")]
    texts.append(Report.legend)
    if !json { print(texts.dropFirst().joined(separator: "\n\n")) }
    for scenario in scenario where url == nil || !scenario.needsOwnServers {
      let measured = try measure(scenario, stage)
      report.cases += measured.cases.map(\.report)
      texts.append(measured.text)
      if !json { print("\n" + measured.text) }
    }
    texts.append(report.summary)
    texts.append("How costs grow is drawn in [Plots](Plots), by `lock-bench plots`.")
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
        for contestant in measured.contestants where self.contestant.contains(contestant) {
          say("\(scenario.rawValue), \(measured.name), \(contestant.label), round \(round)")
          let seconds = max(
            scenario == .extension ? Double(holdSeconds) : seconds, measured.minimumSeconds)
          let sample = try stage.measure(contestant, measured, seconds: seconds)
          samples[index][contestant, default: []].append(sample)
        }
      }
    }
    let library = samples.map { $0[.library] ?? [] }
    return ScenarioTables(
      scenario: scenario,
      cases: cases.enumerated().map { index, measured in
        let report = CaseReport(
          measured, of: scenario, samples[index], first: library[0],
          before: library[max(index - 1, 0)])
        return (measured, report)
      })
  }

  private func circumstances(_ stage: Stage) throws -> [String] {
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let pinned =
      !CPUAffinity.isSupported
      ? "nothing is pinned: this system does not support it"
      : stage.ownsServer
        ? "one core: client and server are pinned to core \(CPUAffinity.core)"
        : "one core: the client is pinned to core \(CPUAffinity.core), the given server is not pinned"
    let transport = url.map { _ in "the given URL" } ?? (unixSocket ? "a Unix socket" : "TCP")
    return [
      "\(rounds) rounds of \(seconds.formatted()) s, \(pairs.text) pairs, or \(holdSeconds) s of holding",
      "\(cores) cores, \(pinned)", "\(try stage.serverVersion()), by \(transport)",
    ]
  }

  /// Reports the progress on the standard error.
  private func say(_ text: String) {
    FileHandle.standardError.write(Data("\(text)\n".utf8))
  }
}
