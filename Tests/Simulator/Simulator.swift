import ChaosLog

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Runs many simulations, or one with a trace of all events.
@main
enum Simulator {
  private static let usage = """
    usage: Simulator SEED                  one, in the calmest weather that it fails in, with all that happens
           Simulator FIRST COUNT [STEP]    so many, of which the first three that fail are named
           Simulator --digest FIRST COUNT  COUNT seeds, each twice, with a digest of all events
           Simulator --cancel FIRST COUNT [STEP]
                                           COUNT short runs, repeated with each call cancelled at each `await`
           Simulator --cancelled SEED CALL MOMENT
                                           one of these, with a trace of all events
    """

  /// The number of seeds from which on every trouble must have occurred.
  private static let seedsForAll = 300

  static func main() {
    let numbers = CommandLine.arguments.dropFirst().compactMap { UInt64($0) }
    makeRepeatable()
    Scheduler.takeOverTasks()
    var seeds: [UInt64] {
      let step = numbers.count > 2 ? numbers[2] : 1
      return (0..<numbers[1]).map { numbers[0] + $0 * step }
    }
    let mode = CommandLine.arguments.dropFirst().first { $0.hasPrefix("--") }
    switch (mode, numbers.count) {
    case ("--digest", 2): digest(numbers[0]..<numbers[0] + numbers[1])
    case ("--cancel", 2), ("--cancel", 3): cancel(seeds)
    case ("--cancelled", 3):
      let simulation = Simulation(
        seed: numbers[0], weather: .brief(numbers[0]),
        cancelling: .init(call: Int(numbers[1]), moment: Int(numbers[2])), tracer: { print($0) })
      simulation.run()
      print(simulation.finding ?? "nothing found")
      exit(simulation.finding == nil ? 0 : 1)
    case (nil, 1): show(numbers[0])
    case (nil, 2), (nil, 3): run(seeds)
    default:
      print(usage)
      exit(64)
    }
  }

  private static func run(_ seeds: [UInt64]) {
    var counts = Simulation.Counts()
    var failed = 0
    for seed in seeds where failed < 3 {
      let simulation = Simulation(seed: seed)
      simulation.run()
      counts += simulation.counts
      guard let finding = simulation.finding else { continue }
      print("seed \(seed): \(finding)\n  \(CommandLine.arguments[0]) \(seed) shows how")
      failed += 1
    }
    let troubles = Trouble.allCases.map { ($0.rawValue, counts.troubles[$0] ?? 0) }
    print("\(seeds.count) seeds: \(counts)")
    print("\(seeds.count) seeds met: \(troubles.map { "\($1) \($0)" }.joined(separator: ", "))")
    if failed == 0, seeds.count >= seedsForAll {
      for (trouble, count) in troubles where count == 0 {
        print("no seed meets this trouble any more: \(trouble)")
        failed += 1
      }
    }
    exit(failed == 0 ? 0 : 1)
  }

  /// Sweeps short simulations: cancels each call at each of its moments.
  private static func cancel(_ seeds: [UInt64]) {
    var sweep = CancellationSweep()
    var failed = 0
    for seed in seeds where failed < 3 {
      guard let (finding, arguments) = sweep.run(seed) else { continue }
      print("seed \(seed): \(finding)\n  \(CommandLine.arguments[0]) \(arguments) shows how")
      failed += 1
    }
    print("\(seeds.count) sweeps: \(sweep.calls) calls cancelled, \(sweep.moments) moments tried")
    exit(failed == 0 ? 0 : 1)
  }

  /// Runs each seed twice, and prints the digests of both runs.
  private static func digest(_ seeds: Range<UInt64>) {
    for seed in seeds {
      let digests = (0..<2).map { _ in
        var digest = SplitMix(seed: 0)
        Simulation(seed: seed) { line in
          for byte in line.utf8 {
            digest = SplitMix(seed: digest.next() ^ UInt64(byte))
          }
        }.run()
        return digest.next()
      }
      guard digests[0] == digests[1] else {
        print("seed \(seed) gave two different runs")
        exit(1)
      }
      print("\(seed) \(digests[0])")
    }
  }

  /// Makes the order of Swift's dictionaries the same in each process.
  private static func makeRepeatable() {
    guard unsafe getenv("SWIFT_DETERMINISTIC_HASHING") == nil else { return }
    unsafe setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
    var arguments = unsafe CommandLine.arguments.map { unsafe strdup($0) } + [nil]
    unsafe execv(CommandLine.arguments[0], &arguments)
  }

  /// Repeats a seed with a trace, in the calmest weather in which it still finds something.
  private static func show(_ seed: UInt64) -> Never {
    let first = Simulation(seed: seed)
    first.run()
    guard first.finding != nil else {
      Simulation(seed: seed, tracer: { print($0) }).run()
      print("nothing found")
      exit(0)
    }
    var weather = first.weather
    var isCalmer = true
    while isCalmer {
      isCalmer = false
      for calmer in weather.calmer {
        let simulation = Simulation(seed: seed, weather: calmer)
        simulation.run()
        if simulation.finding != nil {
          (weather, isCalmer) = (calmer, true)
          break
        }
      }
    }
    print("\(weather)")
    let last = Simulation(seed: seed, weather: weather, tracer: { print($0) })
    last.run()
    print(last.finding ?? "nothing found")
    exit(1)
  }
}
