import Histogram

/// The part of a measurement during which the clock runs.
struct Run {
  let contestant: Contestant
  let measured: Case
  let placement: Placement
  /// A connection to each server.
  let controls: [HiredisConnection]
  let handoffs: HandoffLog?

  private struct Totals {
    let server: ServerUsage
    let machine: MachineLoad?
    let ownSeconds: Double
    let instant: UInt64
  }

  /// Starts the workers, and returns the results.
  func sample(_ workers: [WorkerProcess], seconds: Double) throws -> Sample {
    let before = try totals()
    let deadline = Monotonic.now() + UInt64(seconds * 1e9)
    for worker in workers { try worker.start(until: deadline) }
    var after: Totals?
    if measured.job.isTimed {
      Monotonic.sleep(until: deadline)
      after = try totals()
    }
    let outcomes = try workers.map { try $0.outcome() }
    return evaluate(outcomes, before, try after ?? totals())
  }

  private func totals() throws -> Totals {
    Totals(
      server: try ServerUsage.now(controls), machine: MachineLoad.now(placement),
      ownSeconds: ProcessUsage.now().cpuSeconds, instant: Monotonic.now())
  }

  private func evaluate(_ outcomes: [Outcome], _ before: Totals, _ after: Totals) -> Sample {
    var sample = Sample()
    for outcome in outcomes { sample.values.merge(outcome.values, uniquingKeysWith: +) }
    let seconds = Double(after.instant - before.instant) / 1e9
    let client = outcomes.reduce(0) { $0 + $1.cpuSeconds }
    let server = after.server.cpuSeconds - before.server.cpuSeconds
    let commands = Double(
      after.server.commands(of: contestant) - before.server.commands(of: contestant))
    sample[.clientSeconds] = client
    sample[.serverSeconds] = server
    sample[.clientShare] = client * 100 / seconds
    sample[.serverShare] = server * 100 / seconds
    sample[.commandsPerSecond] = commands / seconds
    sample[.clientPeak] = outcomes.reduce(0) { $0 + Double($1.peakBytes) } / 1e6
    sample[.serverMemory] = after.server.memoryBytes / 1e6
    if let first = before.machine, let last = after.machine {
      // This process may run anywhere, but works only if it is a proxy, and then in the same place.
      let isProxy = measured.roundTrip != nil
      let own = isProxy ? after.ownSeconds - before.ownSeconds : 0
      let others = last.busySeconds - first.busySeconds - client - server - own
      sample[.othersShare] = max(0, others * 100 / seconds)
    }
    if let handoffs {
      evaluate(handoffs, seconds, commands, into: &sample)
    } else if measured.isPairs {
      let pairs = Double(outcomes.reduce(0) { $0 + $1.operations })
      sample.set(.pairsPerSecond, pairs, per: outcomes.map(\.seconds).max() ?? 0)
      sample.set(.commandsPerPair, commands, per: pairs)
      sample.set(.cpuPerPair, (client + server) * 1e6, per: pairs)
      sample.set(.clientPerPair, client * 1e6, per: pairs)
    }
    return sample
  }

  private func evaluate(
    _ log: HandoffLog, _ seconds: Double, _ commands: Double, into sample: inout Sample
  ) {
    var gaps = Histogram<UInt32>.nanoseconds
    var turns = [Double](repeating: 0, count: measured.contenders)
    let entries = log.entries
    for entry in entries { gaps.record(entry.nanoseconds) }
    // Counts only whole laps: otherwise, some contender would have fewer turns even if all took turns in order.
    // Skips the first lap, in which the first contenders return before the last have arrived.
    let settled = entries.dropFirst(measured.contenders)
    let laps = settled.count / measured.contenders
    for entry in settled.prefix(laps * measured.contenders) { turns[entry.contender] += 1 }
    let count = Double(gaps.totalCount)
    sample[.handoffsPerSecond] = count / seconds
    if count > 0 {
      sample[.gapP50] = gaps.microseconds(50)
      sample[.gapP99] = gaps.microseconds(99)
    }
    sample.set(.commandsPerHandoff, commands, per: count)
    if let fewest = turns.min(), let most = turns.max(), laps > 0 {
      sample[.fewest] = fewest
      sample[.most] = most
      sample[.fewestToMost] = fewest / most
    }
    sample[.overlaps] = Double(log.overlaps)
  }
}
