import Foundation
import PrivateRedis
import Testing

/// Runs the product on a simulated machine, see `Tests/Simulator`; `make simulation` tries more seeds.
@Suite("The simulation", .timeLimit(.minutes(5)))
struct SimulationTests {
  /// Runs the program `Simulator`, which lies beside the tests; returns its output and how it has ended.
  private func simulate(_ arguments: [String]) async throws -> (
    output: String, ending: ChildProcess.Ending
  ) {
    let folder = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    let program = folder.appending(path: "Simulator").path(percentEncoded: false)
    let output = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: output) }
    let child = try ChildProcess(
      script: #"exec "$@""#, arguments: [program] + arguments,
      input: .null, output: .newFile(output.path(percentEncoded: false)), errors: .descriptor(2))
    var ending: ChildProcess.Ending?
    await eventually(within: .seconds(240), "the simulation ends") {
      ending = child.ending
      return ending != nil
    }
    return (try String(contentsOf: output, encoding: .utf8), try #require(ending))
  }

  @Test(
    "Lockers never hold a lock together, never wait for ever, and leave nothing behind",
    arguments: 0..<2)
  func seeds(share: Int) async throws {
    // Few, as this is built for debugging: `make test` runs 10,000 that are built for release.
    let count = ProcessInfo.processInfo.environment["SIMULATION_SEEDS"].flatMap { Int($0) } ?? 60
    let (output, ending) = try await simulate([String(share), String(count / 2), "2"])
    #expect(ending == .exit(0), "\(output)")
    // A tenth of the usual number.
    #expect(number(of: "locks held", in: output) > count, "\(output)")
    #expect(number(of: "granted by others", in: output) > count / 4, "\(output)")
    #expect(number(of: "handed on", in: output) > count / 100, "\(output)")
    #expect(number(of: "messages at which", in: output) > count / 4, "\(output)")
  }

  @Test("A call that is cancelled at any of its awaits leaves nothing behind, and no task waiting")
  func cancellations() async throws {
    let (output, ending) = try await simulate(["--cancel", "4", "1"])
    #expect(ending == .exit(0), "\(output)")
    #expect(number(of: "calls cancelled", in: output) >= 4, "\(output)")
    #expect(number(of: "moments tried", in: output) >= 100, "\(output)")
  }

  /// The number in front of some words.
  private func number(of words: String, in output: String) -> Int {
    guard let range = output.range(of: " \(words)") else { return 0 }
    let digits = output[..<range.lowerBound].reversed().prefix { $0.isNumber }
    return Int(String(digits.reversed())) ?? 0
  }

  @Test("A seed gives the same run each time, in the same process and in another")
  func repeatable() async throws {
    let first = try await simulate(["--digest", "0", "12"])
    let second = try await simulate(["--digest", "0", "12"])
    #expect(first.ending == .exit(0), "\(first.output)")
    #expect(first.output == second.output)
    #expect(Set(first.output.split(separator: "\n")).count == 12)
  }
}
