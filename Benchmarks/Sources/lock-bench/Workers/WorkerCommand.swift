import ArgumentParser
import CCounting
import Foundation

/// Runs one contestant of a measurement in a process of its own.
///
/// Reads an order, reports that it is ready, reads the deadline, works, and reports the outcome. When its input
/// ends, it gives back what it holds.
struct WorkerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "worker", shouldDisplay: false)

  func run() async throws {
    guard let line = readLine() else { return }
    let order = try JSONDecoder().decode(WorkerOrder.self, from: Data(line.utf8))
    var workload = try await order.contestant.workload(for: order.job).init(order)
    say("ready")
    guard let deadline = readLine().flatMap(UInt64.init) else { return }

    if order.counts { counting_begin() }
    let usage = ProcessUsage.now()
    let start = Monotonic.now()
    var outcome = try await workload.run(until: deadline)
    outcome.seconds = Double(Monotonic.now() - start) / 1e9
    outcome.cpuSeconds = ProcessUsage.now().cpuSeconds - usage.cpuSeconds
    if order.counts, counting_is_supported() {
      counting_end()
      let operations = Double(max(1, outcome.operations))
      outcome.values[.allocations] = Double(counting_allocations()) / operations
      outcome.values[.references] = Double(counting_references()) / operations
    }
    outcome.values[.locksLost] = workload.lostLocks.map(Double.init)
    outcome.values[.locksNotTaken] = workload.locksNotTaken.map(Double.init)
    outcome.peakBytes = ProcessUsage.peakBytes()
    say(String(decoding: try JSONEncoder().encode(outcome), as: UTF8.self))

    _ = readLine()
    try await workload.end()
  }

  private func say(_ line: String) {
    print(line)
    fflush(nil)
  }
}
