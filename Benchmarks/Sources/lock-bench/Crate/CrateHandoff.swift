/// Tasks that poll for one lock every 100 ms.
struct CrateHandoff: Workload {
  private enum Task {
    case asking
    case holding
  }

  private let order: WorkerOrder
  private let log: HandoffLog
  private let locker: CrateLocker
  private var tasks: [Task]
  private var locks: [LockCommands]
  private var calendar = Calendar()

  init(_ order: WorkerOrder) throws {
    guard case .handoff(let count) = order.job else { throw BenchError("wrong job") }
    self.order = order
    log = try HandoffLog(path: order.logPath ?? "")
    locker = try CrateLocker(url: order.url)
    tasks = Array(repeating: .asking, count: count)
    let scripts = locker.scripts
    locks = (0..<count).map { _ in .crate(order.contendedKey, scripts) }
  }

  mutating func run(until deadline: UInt64) throws -> Outcome {
    for task in tasks.indices { calendar.add(task, at: Monotonic.now()) }
    while !calendar.isEmpty {
      let due = calendar.waitForDue()
      let asking = due.filter { tasks[$0] == .asking }
      for task in due where tasks[task] == .holding { try release(task) }
      // Tasks that still wait when the time is up give up.
      if Monotonic.now() < deadline { try ask(asking) }
    }
    return Outcome()
  }

  private mutating func ask(_ asking: [Int]) throws {
    for task in asking { locks[task].renew() }
    let answers = try locker.tryAcquire(asking.map { locks[$0] })
    for (task, isAcquired) in zip(asking, answers) {
      if isAcquired {
        log.enter(order.worker * tasks.count + task)
        tasks[task] = .holding
        plan(task, in: Turn.holdMilliseconds)
      } else {
        plan(task, in: CrateLocker.retryMilliseconds)
      }
    }
  }

  private mutating func release(_ task: Int) throws {
    log.leave()
    try locker.release(locks[task])
    tasks[task] = .asking
    plan(task, in: Turn.thinkMilliseconds)
  }

  private mutating func plan(_ task: Int, in milliseconds: UInt64) {
    calendar.add(task, at: Monotonic.now() + milliseconds * 1_000_000)
  }
}
