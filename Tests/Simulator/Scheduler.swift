import ChaosLog
import HeapModule

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Runs everything in a simulation, one piece at a time on one thread; the clock stands still while a piece runs.
///
/// The next piece is drawn from those that could run now, and everything follows from the seed. One thread alone
/// uses the class and runs all of its pieces.
// Unchecked: one thread runs a simulation.
final class Scheduler: @unchecked Sendable {
  /// Something to do at a time, in nanoseconds.
  private struct Event: Comparable {
    let time: Int64
    let order: UInt64
    let process: SimulatedProcess?
    let action: () -> Void

    static func < (first: Self, second: Self) -> Bool {
      (first.time, first.order) < (second.time, second.order)
    }

    static func == (first: Self, second: Self) -> Bool { first.order == second.order }
  }

  private struct Ready {
    let process: SimulatedProcess?
    let action: () -> Void
  }

  /// The scheduler that runs; the Swift runtime's hook has no other way to reach it.
  // Unsafe: one thread runs a simulation.
  nonisolated(unsafe) static var current: Scheduler?

  /// How many steps of tasks are late, in thousandths.
  var lateSteps = 0
  private var generator: SplitMix
  /// The time in nanoseconds.
  private(set) var now: Int64 = 0
  /// The process whose code runs; nil for the server and the network.
  private(set) var process: SimulatedProcess?
  private var ready: [Ready] = []
  private var events = Heap<Event>()
  private var eventCount: UInt64 = 0
  /// Receives a description of each event; nil if the events are not traced.
  var tracer: ((String) -> Void)?
  /// The task whose code runs, by its address.
  private(set) var runningTask: UInt?
  /// Called with a task when it is about to run, and again when it has been suspended.
  var onTurn: ((UInt) -> Void)?
  /// How many pieces have run.
  private(set) var stepCount = 0
  /// How often each trouble has occurred.
  private(set) var troubles: [Trouble: Int] = [:]

  init(seed: UInt64) { generator = SplitMix(seed: seed) }

  // MARK: Chance

  func draw() -> UInt64 { generator.next() }

  func pick(_ count: Int) -> Int { count <= 0 ? 0 : Int(generator.next() >> 1) % count }

  func happens(_ thousandths: Int) -> Bool { thousandths > 0 && pick(1000) < thousandths }

  func note(_ text: @autoclosure () -> String) { tracer?("\(now / 1000) \(text())") }

  func count(_ trouble: Trouble) { troubles[trouble, default: 0] += 1 }

  // MARK: Adding

  /// Does something at a time, on behalf of the process that asks for it, or of the world.
  func at(_ time: Int64, of process: SimulatedProcess?, _ action: @escaping () -> Void) {
    eventCount += 1
    events.insert(Event(time: time, order: eventCount, process: process, action: action))
  }

  /// Does something as soon as its turn comes, on behalf of a process.
  func soon(of process: SimulatedProcess?, _ action: @escaping () -> Void) {
    ready.append(Ready(process: process, action: action))
  }

  // MARK: Running

  /// Runs until a time, until nothing is left, or until something ends the run.
  func run(until end: Int64, while condition: () -> Bool) {
    unsafe Self.current = self
    defer { unsafe Self.current = nil }
    while condition() {
      if let next = takeReady() {
        run(next.action, of: next.process)
        now += 1000
      } else if let time = events.min?.time, time <= end {
        let event = events.removeMin()
        now = max(now, event.time)
        run(event.action, of: event.process)
      } else {
        now = max(now, end)
        return
      }
    }
  }

  private func takeReady() -> Ready? {
    guard !ready.isEmpty else { return nil }
    let index = ready.count == 1 ? 0 : pick(ready.count)
    ready.swapAt(index, ready.count - 1)
    return ready.removeLast()
  }

  /// Runs something now, or when its process goes on.
  private func run(_ action: @escaping () -> Void, of process: SimulatedProcess?) {
    if let process {
      if process.isDead { return process.bury(action) }
      if process.stoppedUntil > now { return at(process.stoppedUntil, of: process, action) }
    }
    stepCount += 1
    self.process = process
    action()
    self.process = nil
  }

  // MARK: Swift's tasks

  private static func take(_ job: UnownedJob) {
    guard let scheduler = unsafe current else { fatalError("a task outside of a simulation") }
    let (process, run) = (scheduler.process, { [unowned scheduler] in scheduler.run(job) })
    guard scheduler.happens(scheduler.lateSteps) else { return scheduler.soon(of: process, run) }
    scheduler.count(.stepLate)
    scheduler.at(scheduler.now + Int64(scheduler.pick(5_000_000)), of: process, run)
  }

  private func run(_ job: UnownedJob) {
    // The job of a task is the task itself, each time it is resumed.
    let task = unsafe unsafeBitCast(job, to: UInt.self)
    onTurn?(task)
    runningTask = task
    unsafe job.runSynchronously(on: JobRunner.shared.asUnownedSerialExecutor())
    runningTask = nil
    onTurn?(task)
  }

  private typealias Original = @convention(thin) (UnownedJob) -> Void
  private typealias Hook = @convention(thin) (UnownedJob, Original) -> Void

  /// Makes the current scheduler run every task of the program.
  ///
  /// The runtime passes to the function in this variable each job that it would otherwise run on a thread of its
  /// own.
  static func takeOverTasks() {
    guard let address = unsafe dlsym(dlopen(nil, RTLD_NOW), "swift_task_enqueueGlobal_hook") else {
      fatalError("this Swift runtime has no hook for its executor")
    }
    let variable = unsafe address.assumingMemoryBound(to: Hook?.self)
    unsafe variable.pointee = { job, _ in Scheduler.take(job) }
  }
}

/// The executor that jobs are told they run on.
private final class JobRunner: SerialExecutor {
  static let shared = JobRunner()

  func enqueue(_ job: consuming ExecutorJob) { fatalError("jobs come by the hook") }
}
