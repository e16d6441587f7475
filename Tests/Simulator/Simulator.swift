import ChaosLog

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Runs simulations: `Simulator FIRST COUNT`, and `Simulator SEED` for one with all that happens in it.
@main
enum Simulator {
  static func main() {
    let numbers = CommandLine.arguments.dropFirst().compactMap { UInt64($0) }
    guard let first = numbers.first else {
      print("usage: Simulator SEED | Simulator FIRST COUNT [STEP]")
      exit(64)
    }
    makeRepeatable()
    Scheduler.takeOverTasks()
    if numbers.count == 1 { show(first) }
    var counts = Simulation.Counts()
    var failed = 0
    for number in 0..<numbers[1] {
      let seed = first + number * (numbers.count > 2 ? numbers[2] : 1)
      let simulation = Simulation(seed: seed)
      simulation.run()
      counts += simulation.counts
      guard let finding = simulation.finding else { continue }
      print("seed \(seed): \(finding)")
      print("  Simulator \(seed) shows how, as short as it gets")
      failed += 1
      if failed == 3 { break }
    }
    print("\(numbers[1]) seeds: \(counts)")
    exit(failed == 0 ? 0 : 1)
  }

  /// Swift's dictionaries have another order in each process, unless they are told otherwise.
  private static func makeRepeatable() {
    guard unsafe getenv("SWIFT_DETERMINISTIC_HASHING") == nil else { return }
    unsafe setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
    var arguments = unsafe CommandLine.arguments.map { unsafe strdup($0) } + [nil]
    unsafe execv(CommandLine.arguments[0], &arguments)
  }

  /// Repeats a seed, in the calmest weather in which it still finds something, with all that happens.
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
