import ArgumentParser
import PrivateRedis

/// Measures the library beside its floor, on a server of its own.
@main
struct LockBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lock-bench", abstract: "Measures async-redis-lock beside plain blocking hiredis.")

  /// What can be measured.
  enum Scenario: String, CaseIterable, ExpressibleByArgument {
    case throughput
    case hold
  }

  @Option(help: "What to measure; may be given several times.")
  var scenario: [Scenario] = Scenario.allCases

  @Option(help: "Rounds of throughput, of which the median is printed.")
  var rounds = 3

  @Option(help: "Locks to hold at once.")
  var locks = 10_000

  @Option(help: "Seconds to hold them.")
  var seconds = 30

  func run() async throws {
    let server = try RedisServer()
    defer { server.stop() }
    for scenario in scenario {
      switch scenario {
      case .throughput: try await Throughput(server: server, rounds: rounds).run()
      case .hold: try await Hold(server: server, locks: locks, seconds: seconds).run()
      }
    }
  }
}
