import AsyncRedisLock
import Logging

/// A process with one locker, and tasks that take locks.
// Unchecked: one thread runs a simulation.
final class SimulatedProcess: @unchecked Sendable {
  let id: Int
  let scheduler: Scheduler
  private unowned let world: Simulation
  /// How far its clock is off, in nanoseconds, and how much faster it runs, in millionths.
  private let offset: Int64
  private let drift: Int64
  private(set) lazy var time = SimulatedTime(
    of: self, on: scheduler, offset: offset, drift: drift)
  /// Its connections, to be closed when it dies.
  var lines: [Line] = []
  private(set) var isDead = false
  private(set) var stoppedUntil: Int64 = 0
  /// Whether it has never been stopped, and its clock has never jumped.
  private(set) var isSteady = true
  /// By token, when the server executed the last command whose answer has confirmed the lock to this process.
  private(set) var confirmedAt: [String: Int64] = [:]
  private(set) var locker: Locker?
  /// The actions it would have taken since it died.
  private var buried: [() -> Void] = []
  /// How many of its tasks have not ended.
  private(set) var taskCount = 0
  /// How many lockers it has had.
  private(set) var generation = 0
  /// How many of them have not been closed.
  private var openLockers = 0
  private var closingCount = 0
  /// The numbers of the lockers whose closing has finished.
  private var closed: Set<Int> = []
  private var isEnding = false
  /// Whether it has been asked to end and all of its lockers are closed.
  var hasClosed: Bool { isEnding && openLockers == 0 }

  init(_ id: Int, in world: Simulation) {
    self.id = id
    self.world = world
    scheduler = world.scheduler
    offset = Int64(scheduler.pick(1_000_000_000))
    let drift = world.weather.drift
    self.drift = drift == 0 ? 0 : Int64(scheduler.pick(2 * drift) - drift)
  }

  // MARK: Its end

  /// Stops the process, as SIGSTOP does.
  func stop(for duration: Int64) {
    scheduler.count(.processStopped)
    isSteady = false
    stoppedUntil = max(stoppedUntil, scheduler.now + duration)
  }

  /// Lets its clock jump forward.
  func jump(by duration: Int64) {
    scheduler.count(.processClockForward)
    isSteady = false
    time.jump(by: duration)
  }

  /// Kills the process; the system closes its connections.
  func kill() {
    scheduler.count(.processKilled)
    isDead = true
    for line in lines { line.clientCloses() }
  }

  /// Keeps an action of a dead process.
  func bury(_ action: @escaping () -> Void) { buried.append(action) }

  /// Resumes a dead process, cut off from the world, so that its memory is freed.
  func raise() {
    isDead = false
    for action in buried { scheduler.soon(of: self, action) }
    buried = []
  }

  /// Notes that the process knows of a confirmation that the server executed at this time.
  func confirm(_ token: String, _ executedAt: Int64) {
    confirmedAt[token] = max(confirmedAt[token] ?? 0, executedAt)
  }

  // MARK: Its life

  /// Starts work.
  func start(_ workerCount: Int) { run { [self] in await live(workerCount) } }

  private func run(_ body: @escaping @Sendable () async -> Void) {
    scheduler.soon(of: self) { [self] in
      // The default priority of tasks; those of low priority run elsewhere.
      Task(priority: .medium) { [self] in
        taskCount += 1
        defer { taskCount -= 1 }
        await body()
      }
    }
  }

  private func live(_ workerCount: Int) async {
    guard let locker = await connect() else { return }
    // It may have been asked to end meanwhile.
    guard !isEnding else { return await locker.close() }
    openLockers += 1
    generation += 1
    self.locker = locker
    for _ in 0..<workerCount { Task { await work(with: locker, of: generation) } }
  }

  /// Closes the locker, whatever its tasks are doing, and continues with another.
  func renewLocker(whenReleased: Bool) {
    guard let locker, !isEnding, !isDead else { return }
    self.locker = nil
    world.closedLockers.insert(locker.id)
    scheduler.count(whenReleased ? .lockerClosedWhenReleased : .lockerClosed)
    run { [self] in
      closingCount += 1
      let number = closingCount
      if !whenReleased { world.expectClosed(self) { [self] in closed.contains(number) } }
      // Throws for a task that holds a lock of the locker; this task holds none.
      if whenReleased { try? await locker.closeWhenReleased() } else { await locker.close() }
      openLockers -= 1
      closed.insert(number)
      await live(1)
    }
  }

  private func connect() async -> Locker? {
    var logger = Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }
    logger.logLevel = .critical
    let machine = SimulatedMachine(process: self, network: world.network)
    while world.isOpen {
      if let locker = try? await Locker(world.configuration, on: machine, logger: logger) {
        return locker
      }
      await pause(10_000_000)
    }
    return nil
  }

  func close() {
    scheduler.soon(of: self) { [self] in
      isEnding = true
      guard let locker = locker.take() else { return }
      Task(priority: .medium) {
        await locker.close()
        openLockers -= 1
      }
    }
  }

  private func work(with locker: Locker, of generation: Int) async {
    taskCount += 1
    defer { taskCount -= 1 }
    let worker = Worker(of: self, with: locker, in: world)
    while world.isOpen, generation == self.generation, self.locker != nil {
      let longest = world.weather.pause * 1_000_000
      await pause(Int64(scheduler.happens(300) ? 100_000 : scheduler.pick(longest)))
      await worker.takeLock()
    }
  }

  /// Waits for this many nanoseconds.
  func pause(_ time: Int64) async {
    await withCheckedContinuation { continuation in
      scheduler.at(scheduler.now + time, of: self) { continuation.resume() }
    }
  }
}
