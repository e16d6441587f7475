import AsyncRedisLock
import Foundation
import Testing

@Suite("Simulated lockers", .timeLimit(.minutes(10)))
struct SimulationTests {
  /// How many seeds are tried; `SIMULATION_SEEDS` sets another number.
  private static let count =
    UInt64(ProcessInfo.processInfo.environment["SIMULATION_SEEDS"] ?? "") ?? 10_000

  @Test(
    "Simulated lockers never hold a lock together, never wait for good, and leave nothing behind")
  func seeds() async {
    var counts = Simulation.Counts()
    await withTaskGroup(of: ([UInt64], Simulation.Counts).self) { group in
      let width = UInt64(max(ProcessInfo.processInfo.activeProcessorCount, 1))
      for share in 0..<width {
        group.addTask {
          var (failed, counts): ([UInt64], Simulation.Counts) = ([], .init())
          for seed in stride(from: share, to: Self.count, by: Int(width)) where failed.count < 3 {
            let simulation = Simulation(seed: seed)
            simulation.run()
            counts += simulation.counts
            if simulation.finding != nil { failed.append(seed) }
          }
          return (failed, counts)
        }
      }
      for await (seeds, share) in group {
        counts += share
        for seed in seeds { replay(seed) }
      }
    }
    print("\(Self.count) seeds: \(counts)")
    // Ten times as much is usual.
    let least = Int(Self.count) / 100
    #expect(counts.held > 250 * least && counts.granted > 60 * least, "\(counts)")
    #expect(counts.handedOn > 40 * least && counts.cutConnections > 35 * least, "\(counts)")
    #expect(counts.lost > 5 * least && counts.missedGrants > least, "\(counts)")
  }

  /// Repeats what a seed has found, and prints how it came to that; `SIMULATION_SEED` names one.
  @Test(
    "A simulation repeats what its seed has found",
    .enabled(if: ProcessInfo.processInfo.environment["SIMULATION_SEED"] != nil))
  func oneSeed() throws {
    let seed = ProcessInfo.processInfo.environment["SIMULATION_SEED"].flatMap(UInt64.init)
    replay(try #require(seed))
  }

  private func replay(_ seed: UInt64) {
    let isVerbose = ProcessInfo.processInfo.environment["SIMULATION_SEED"] != nil
    let simulation = Simulation(seed: seed, tracer: isVerbose ? { print($0) } : nil)
    simulation.run()
    #expect(
      simulation.finding == nil,
      "seed \(seed): \(simulation.finding ?? ""); SIMULATION_SEED=\(seed) shows how")
  }
}
