import AsyncRedisLock
import ChaosLog

/// Some processes that contend for a few keys of one server, in simulated time, with whatever can go wrong.
///
/// The lockers are the product's own, from the public interface down to the bytes; clocks, threads, the network and the
/// server are simulated. All follows from the seed and the weather.
// Unchecked: one thread runs a simulation.
final class Simulation: @unchecked Sendable {
  /// How often what happened.
  struct Counts {
    var held = 0
    var lost = 0
    var handedOn = 0
    var handedOver = 0
    var broken = 0
    var steps = 0

    static func += (sum: inout Self, one: Self) {
      sum.held += one.held
      sum.lost += one.lost
      sum.handedOn += one.handedOn
      sum.handedOver += one.handedOver
      sum.broken += one.broken
      sum.steps += one.steps
    }
  }

  private struct Holding {
    weak var lock: Lock?
  }

  let weather: Weather
  let scheduler: Scheduler
  let keys = ["a", "b", "c"]
  let configuration: LockerConfiguration
  let network: Network
  private let redis: SimulatedRedis
  /// Whether new locks are asked for.
  private(set) var isOpen = true
  /// Whether the simulation has been judged, and only comes to its end.
  private var isOver = false
  /// What was found; the simulation ends with the first.
  private(set) var finding: String?
  private(set) var counts = Counts()
  var attempts: [Attempt] = []
  /// Tokens whose keys were left to whoever takes them over, which may fail.
  var detachedTokens: Set<String> = []
  private var processes: [SimulatedProcess] = []
  private var processCount = 0
  private var holdings: [Holding] = []
  /// By key, a token that no lock relies on, and since when that has been seen.
  private var unused: [String: (token: String, since: Int64)] = [:]
  /// The tokens of all locks so far: one that was handed on within a process has that of the lock before.
  private var tokens: Set<String> = []
  /// The largest fencing tokens held so far, by key, each with the time from which on it was.
  private var fences: [String: [(since: Int64, number: UInt64)]] = [:]

  /// How long connections break, and until when all must have ended, in nanoseconds.
  private static let storm: Int64 = 60_000_000_000
  private static let end: Int64 = 90_000_000_000
  /// How long it takes at most until all has arrived.
  private static let calm: Int64 = 5_000_000_000
  /// How long a key may be held without use: until a waiter whose connections fail in silence asks again.
  private static let longestUnused: Int64 = 2_500_000_000

  init(seed: UInt64, weather: Weather? = nil, tracer: ((String) -> Void)? = nil) {
    var generator = SplitMix(seed: seed)
    let drawn = Weather(using: &generator)
    self.weather = weather ?? drawn
    scheduler = Scheduler(seed: generator.next())
    scheduler.tracer = tracer
    configuration = LockerConfiguration(
      connectTimeout: .milliseconds(500), operationTimeout: .milliseconds(100))
    let drift = self.weather.drift
    redis = SimulatedRedis(
      on: scheduler, self.weather, keys: keys,
      drift: drift == 0 ? 0 : Int64(scheduler.pick(2 * drift) - drift))
    network = Network(on: scheduler, self.weather, to: redis)
    redis.onChange = { [unowned self] in checkHolders() }
  }

  /// Runs to the end, or to the first finding.
  func run() {
    for _ in 0..<weather.processes { addProcess() }
    planMishaps()
    // Of several keys some may be kept for long for who waits for the others.
    if weather.isTrusty, !weather.kills, weather.stalls == 0, weather.pairs == 0 {
      lookForUnusedKeys()
    }
    let opening = Int64(weather.opening) * 1_000_000
    scheduler.run(until: opening) { finding == nil }
    isOpen = false
    scheduler.run(until: Self.storm) { finding == nil && !isQuiet }
    network.isStormy = false
    scheduler.run(until: Self.end) { finding == nil && !isQuiet }
    // What is given back is under way.
    scheduler.run(until: scheduler.now + Self.calm) { finding == nil }
    if finding == nil { checkEnd() }
    isOver = true
    counts.steps = scheduler.stepCount
    counts.broken = network.breakCount
    counts.handedOver = redis.grantCount
    takeApart()
  }

  /// Whether nobody wants a lock any more.
  private var isQuiet: Bool { processes.allSatisfy { $0.isDead || $0.taskCount == 0 } }

  /// Ends all processes, so that their memory is given back.
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
    // What lies about by then, such as the last steps of closing.
    scheduler.run(until: end) { true }
  }

  private var allProcesses: [SimulatedProcess] = []

  private func addProcess() {
    processCount += 1
    let process = SimulatedProcess(processCount, in: self)
    processes.append(process)
    allProcesses.append(process)
    process.start(1 + scheduler.pick(3))
  }

  private func planMishaps() {
    let opening = weather.opening * 1_000_000
    for _ in 0..<scheduler.pick(4) {
      let time = Int64(scheduler.pick(opening))
      if weather.kills {
        scheduler.at(time, of: nil) { [self] in
          let index = scheduler.pick(processes.count)
          if scheduler.happens(600) {
            scheduler.note("process \(processes[index].id) stops")
            processes[index].stop(for: Int64(scheduler.pick(1_000_000_000)))
          } else {
            scheduler.note("process \(processes[index].id) dies")
            processes.remove(at: index).kill()
            addProcess()
          }
        }
      }
      if weather.breaks > 0 {
        scheduler.at(time, of: nil) { [self] in hangUp(1 + scheduler.pick(10)) }
      }
      if weather.forgets {
        let snapshot = time / 2
        var saved = redis.snapshot
        scheduler.at(snapshot, of: nil) { [self] in saved = redis.snapshot }
        scheduler.at(time, of: nil) { [self] in
          switch scheduler.pick(3) {
          case 0:
            scheduler.note("the server restarts without data")
            redis.restart()
          case 1:
            scheduler.note("the server restarts with old data")
            redis.restart(with: saved)
          default:
            scheduler.note("the server loses its counter")
            redis.loseCounter()
          }
        }
      }
      if weather.jumps {
        scheduler.at(time, of: nil) { [self] in
          scheduler.note("the server's clock jumps")
          redis.offset += Int64(scheduler.pick(20_000_000)) - 10_000_000
        }
      }
    }
  }

  /// Lets the server hang up on everybody, a few times in a row.
  private func hangUp(_ times: Int) {
    guard times > 0 else { return }
    scheduler.note("the server hangs up")
    redis.hangUpAll()
    scheduler.at(scheduler.now + Int64(scheduler.pick(20_000_000)), of: nil) { [self] in
      hangUp(times - 1)
    }
  }

  // MARK: Checks

  /// A call that has waited for a key for long.
  private func waiter(for key: String) -> Attempt? {
    attempts.first { attempt in
      attempt.waitsFor == key && !attempt.isOver && attempt.heldSince == nil
        && scheduler.now - attempt.start > Self.longestUnused
    }
  }

  /// Looks again and again for keys that are held on the server, and that no lock has, or that are free though a call
  /// waits for them.
  private func lookForUnusedKeys() {
    let tokens = Set(heldLocks.map(\.token))
    for (index, key) in keys.enumerated() {
      let token = redis.holder(of: index)
      if let token, !tokens.contains(token), !detachedTokens.contains(token) {
        let since = unused[key].flatMap { $0.token == token ? $0.since : nil } ?? scheduler.now
        unused[key] = (token, since)
        if scheduler.now - since > Self.longestUnused {
          find("\(token) has key \(key) since \(since / 1000) µs, and nobody relies on it")
        }
      } else if token == nil, let waiting = waiter(for: key) {
        let since = unused[key].flatMap { $0.token == "" ? $0.since : nil } ?? scheduler.now
        unused[key] = ("", since)
        if scheduler.now - since > Self.longestUnused {
          find("key \(key) is free, and process \(waiting.process.id) does not take it")
        }
      } else {
        unused[key] = nil
      }
    }
    scheduler.at(scheduler.now + 50_000_000, of: nil) { [weak self] in
      guard let self, !isOver else { return }
      lookForUnusedKeys()
    }
  }

  private func find(_ text: String) {
    if finding == nil, !isOver { finding = "at \(scheduler.now / 1000) µs: \(text)" }
    scheduler.note("FOUND: \(text)")
  }

  private var heldLocks: [Lock] {
    holdings.removeAll { $0.lock?.isHeld != true }
    return holdings.compactMap(\.lock)
  }

  /// Who relies on a lock has it on the server, so no two do.
  private func checkHolders() {
    guard weather.isTrusty else { return }
    for lock in heldLocks {
      for key in lock.keys {
        let holder = redis.holder(of: keys.firstIndex(of: key) ?? 0)
        if holder != lock.token {
          find("\(lock.token) relies on key \(key), which is \(holder.map { "\($0)'s" } ?? "free")")
        }
      }
    }
  }

  /// Notes that a call has got its lock.
  func noteHeld(_ lock: Lock, _ attempt: Attempt) {
    attempt.heldSince = scheduler.now
    let fence = lock.fencingToken ?? 0
    scheduler.note("\(lock.token) holds \(lock.keys) with \(fence)")
    guard lock.isHeld else { return }
    counts.held += 1
    for key in lock.keys {
      // Who asked before the server forgot may have its lock after the next holder.
      let known = fences[key, default: []]
      let former = weather.isTrusty ? known.last : known.last { $0.since < attempt.start }
      if let former, fence <= former.number {
        find("fence \(fence) of \(lock.token) follows \(former.number) for \(key)")
      }
      // Who is behind it by now outranks it.
      let token = redis.holder(of: keys.firstIndex(of: key) ?? 0)
      if let holder = heldLocks.first(where: { $0.token == token && $0.keys.contains(key) }),
        let other = holder.fencingToken, other < fence
      {
        find("\(lock.token) has fence \(fence), \(holder.token) holds by \(other)")
      }
      fences[key, default: []].append((scheduler.now, max(fence, known.last?.number ?? 0)))
    }
    if !tokens.insert(lock.token).inserted { counts.handedOn += 1 }
    holdings.append(Holding(lock: lock))
    checkHolders()
  }

  func noteReleased(_ lock: Lock, wasHeld: Bool, _ outcome: ReleaseOutcome) {
    scheduler.note("\(lock.token) released \(lock.keys): \(outcome)")
    if outcome != .released { counts.lost += 1 }
    if wasHeld, weather.isFair, weather.stalls == 0, outcome != .released {
      find("\(lock.token) was held when it was released, and that says \(outcome)")
    }
  }

  /// Notes that a call has failed; only some ways are allowed.
  func noteFailure(_ error: any Error, of process: SimulatedProcess) {
    scheduler.note(
      "a call of process \(process.id) fails: \((error as? LockError)?.code.description ?? "\(error)")"
    )
    switch error {
    case is CancellationError: break
    case let error as LockError:
      if error.code == .lost { counts.lost += 1 }
      if ![.timeout, .lost, .unreachable, .wouldDeadlock].contains(error.code) {
        find("a call fails: \(error)")
      }
    default: find("a call fails: \(error)")
    }
  }

  private func checkEnd() {
    if let waiting = attempts.first(where: { !$0.isOver && !$0.process.isDead }) {
      find("a call goes on since \(waiting.start / 1000) µs, held since \(waiting.heldSince ?? 0)")
    }
    guard weather.isFair else { return }
    for (index, key) in keys.enumerated() {
      if let token = redis.holder(of: index), !detachedTokens.contains(token) {
        find("\(token) is left in key \(key)")
      }
      if let token = redis.firstWaiter(of: index) {
        find("\(token) is left in the queue of key \(key)")
      }
    }
  }
}
