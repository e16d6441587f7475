import AsyncRedisLock
import ChaosLog

/// Some processes that contend for a few keys of one server, in simulated time, with everything that can go wrong.
///
/// The lockers are the product's own, from the public interface down to the bytes. Clocks, threads, the network and
/// the server are simulated. Everything follows from the seed and the weather.
// Unchecked: one thread runs a simulation.
final class Simulation: @unchecked Sendable {
  /// How often each thing happened.
  struct Counts: CustomStringConvertible {
    var held = 0
    var lost = 0
    var handedOn = 0
    var handedOver = 0
    var broken = 0
    /// How many pieces have run.
    var steps = 0
    var troubles: [Trouble: Int] = [:]

    static func += (sum: inout Self, one: Self) {
      sum.held += one.held
      sum.lost += one.lost
      sum.handedOn += one.handedOn
      sum.handedOver += one.handedOver
      sum.broken += one.broken
      sum.steps += one.steps
      sum.troubles.merge(one.troubles, uniquingKeysWith: +)
    }

    var description: String {
      """
      \(held) locks held, \(lost) lost, \(handedOver) granted by others, \(handedOn) handed on, \
      \(broken) messages at which a connection broke, \(steps) steps
      """
    }
  }

  struct Holding {
    weak var lock: Lock?
    let attempt: Attempt
  }

  /// The call to cancel, and at which of its moments; see ``pass(_:)``.
  struct Cancellation: Equatable {
    let call: Int
    let moment: Int
  }

  let weather: Weather
  let scheduler: Scheduler
  let keys = ["a", "b", "c"]
  let configuration: LockerConfiguration
  let network: Network
  let redis: SimulatedRedis
  /// Whether new locks are asked for.
  private(set) var isOpen = true
  /// Whether the simulation has been judged and only needs to finish.
  private(set) var isOver = false
  /// The first finding, which ends the simulation.
  private(set) var finding: String?
  var counts = Counts()
  private let cancellation: Cancellation?
  /// The calls under way, by their tasks.
  private var calls: [UInt: Attempt] = [:]
  var attempts: [Attempt] = []
  /// Tokens whose keys were left for another process to adopt, which may fail.
  var detachedTokens: Set<String> = []
  /// The lockers that processes have closed: commands of theirs that arrive later are not undone, and their keys
  /// expire.
  var closedLockers: Set<String> = []
  var processes: [SimulatedProcess] = []
  var processCount = 0
  var holdings: [Holding] = []
  /// By key, a token that no lock relies on, and since when that has been so.
  var unused: [String: (token: String, since: Int64)] = [:]
  /// The tokens of all locks so far; a lock that was handed on within a process shares the token of the one before.
  var tokens: Set<String> = []
  /// By key, the largest fencing tokens held so far, each with the time from which it was held.
  var fences: [String: [(since: Int64, number: UInt64)]] = [:]

  /// How long connections break, and until when all must have ended, in nanoseconds.
  private static let storm: Int64 = 60_000_000_000
  private static let end: Int64 = 90_000_000_000
  /// How long it takes at most until all messages have arrived, and how long if none is lost or late.
  private static let calm: Int64 = 5_000_000_000
  private static let shortCalm: Int64 = 500_000_000

  init(
    seed: UInt64, weather: Weather? = nil, cancelling cancellation: Cancellation? = nil,
    tracer: ((String) -> Void)? = nil
  ) {
    self.cancellation = cancellation
    var generator = SplitMix(seed: seed)
    var drawn = Weather(using: &generator)
    drawn.addReplica(seed)
    drawn.addLimits(seed)
    drawn.addHaste(seed)
    self.weather = weather ?? drawn
    scheduler = Scheduler(seed: generator.next())
    scheduler.tracer = tracer
    scheduler.lateSteps = self.weather.lateSteps
    configuration = LockerConfiguration(
      connectTimeout: .milliseconds(500), operationTimeout: .milliseconds(100),
      replicaAcknowledgements: self.weather.acknowledges ? 1 : 0)
    let drift = self.weather.drift
    redis = SimulatedRedis(
      on: scheduler, self.weather, keys: keys,
      drift: drift == 0 ? 0 : Int64(scheduler.pick(2 * drift) - drift))
    network = Network(on: scheduler, self.weather, to: redis)
    redis.onChange = { [unowned self] in checkHolders() }
    scheduler.onTurn = { [unowned self] task in
      if let attempt = calls[task] { pass(attempt) }
    }
  }

  /// Runs to the end or to the first finding.
  func run() {
    for _ in 0..<weather.processes { addProcess() }
    planMishaps()
    // With several keys, some may be kept for long for a waiter that waits for the others. If the server's clock is
    // set back, lost keys are kept for longer.
    // Where a process's clock jumps, it gives up early what it takes back behind a connection that broke.
    // A failover undoes releases.
    if weather.isTrusty, !weather.failsOver, !weather.kills, weather.stalls == 0,
      weather.pairs == 0,
      !weather.jumpsBack, !weather.leaps || weather.breaks == 0
    {
      lookForUnusedKeys()
    }
    let opening = Int64(weather.opening) * 1_000_000
    scheduler.run(until: opening) { finding == nil }
    isOpen = false
    scheduler.run(until: Self.storm) { finding == nil && !isQuiet }
    network.isStormy = false
    scheduler.run(until: Self.end) { finding == nil && !isQuiet }
    // Releases may still be under way.
    scheduler.run(until: scheduler.now + (weather.isPlain ? Self.shortCalm : Self.calm)) {
      finding == nil
    }
    if finding == nil { checkEnd() }
    isOver = true
    counts.steps = scheduler.stepCount
    counts.broken = network.breakCount
    counts.handedOver = redis.grantCount
    counts.troubles = scheduler.troubles
    takeApart()
  }

  /// Whether no call wants a lock any more.
  private var isQuiet: Bool { processes.allSatisfy { $0.isDead || $0.taskCount == 0 } }

  /// Ends all processes, so that their memory is freed.
  private func takeApart() {
    isOpen = false
    network.isStormy = false
    for process in allProcesses {
      process.raise()
      process.close()
    }
    let end = scheduler.now + 600_000_000_000
    scheduler.run(until: end) { allProcesses.contains { !$0.hasClosed || $0.taskCount > 0 } }
    if finding == nil, allProcesses.contains(where: { !$0.hasClosed }) {
      finding = "a locker does not close"
    }
    // Runs what is left over, such as the last steps of closing.
    scheduler.run(until: end) { true }
  }

  private var allProcesses: [SimulatedProcess] = []

  func addProcess() {
    processCount += 1
    let process = SimulatedProcess(processCount, in: self)
    processes.append(process)
    allProcesses.append(process)
    process.start(1 + scheduler.pick(weather.hasty > 0 ? 10 : 3))
  }

  // MARK: Cancelling

  /// Notes that the current task makes this call.
  func watch(_ attempt: Attempt) {
    if let task = scheduler.runningTask { calls[task] = attempt }
  }

  func forget(_ attempt: Attempt) {
    attempt.isOver = true
    attempt.task = nil
    if let task = calls.first(where: { $0.value === attempt })?.key { calls[task] = nil }
  }

  /// Passes a moment of a call: before it begins, then alternately when it is suspended and when it resumes.
  ///
  /// Each `await` thus counts twice.
  func pass(_ attempt: Attempt) {
    if cancellation == Cancellation(call: attempt.number, moment: attempt.moments) {
      cancel(attempt)
    }
    attempt.moments += 1
  }

  /// Cancels a call; if it has no lock, it ends soon.
  func cancel(_ attempt: Attempt) {
    guard !attempt.isOver, let task = attempt.task else { return }
    scheduler.note("call \(attempt.number) of process \(attempt.process.id) is cancelled")
    if attempt.heldSince == nil { scheduler.count(.waitCancelled) }
    task.cancel()
    scheduler.at(scheduler.now + longestCancelling, of: nil) { [weak self] in
      self?.checkCancelled(attempt)
    }
  }

  /// Records a finding, which ends the simulation.
  func find(_ text: String) {
    if finding == nil, !isOver { finding = "at \(scheduler.now / 1000) µs: \(text)" }
    scheduler.note("FOUND: \(text)")
  }
}
