/// Cancels each call of short scenarios at each of its moments, each in a run of its own; see ``Simulation/pass(_:)``.
///
/// Up to the cancellation, a run is the same as the one without it. So every `await` is covered, however briefly it
/// lasts. Cancelling at a random time would mostly cover the long waits.
struct CancellationSweep {
  private(set) var calls = 0
  private(set) var moments = 0
  private(set) var counts = Simulation.Counts()

  /// Tries one scenario; returns the first finding and the arguments that show it.
  mutating func run(_ seed: UInt64) -> (finding: String, arguments: String)? {
    let weather = Weather.brief(seed)
    let first = Simulation(seed: seed, weather: weather)
    first.run()
    if let finding = first.finding { return (finding, "--cancelled \(seed) 0 \(Int.max)") }
    for attempt in first.attempts {
      calls += 1
      for moment in 0..<attempt.moments {
        moments += 1
        let simulation = Simulation(
          seed: seed, weather: weather,
          cancelling: .init(call: attempt.number, moment: moment))
        simulation.run()
        counts += simulation.counts
        if let finding = simulation.finding {
          return (finding, "--cancelled \(seed) \(attempt.number) \(moment)")
        }
      }
    }
    return nil
  }
}
