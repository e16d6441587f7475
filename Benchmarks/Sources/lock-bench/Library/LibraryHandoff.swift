import AsyncRedisLock

/// Tasks that contend for one key, on one locker.
struct LibraryHandoff: Workload {
  private let order: WorkerOrder
  private let tasks: Int
  private let log: HandoffLog
  private let locker: Locker
  private let crowd: LibraryCrowd

  init(_ order: WorkerOrder) async throws {
    guard case .handoff(let tasks) = order.job else { throw BenchError("wrong job") }
    self.order = order
    self.tasks = tasks
    log = try HandoffLog(path: order.logPath ?? "")
    locker = try await LibraryLocks.locker(order)
    crowd = try await LibraryCrowd(order, locker)
    try await locker.acquire(order.ownKey(0)).release()
  }

  func run(until deadline: UInt64) async throws -> Outcome {
    let (order, log, locker) = (order, log, locker)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<tasks {
        let contender = order.worker * tasks + task
        group.addTask {
          try await contend(for: order.contendedKey, locker, as: contender, log, deadline)
        }
      }
      try await group.waitForAll()
    }
    return Outcome()
  }

  func end() async {
    await crowd.end()
    await locker.close()
  }
}

/// Takes turns up to the deadline.
private func contend(
  for key: String, _ locker: Locker, as contender: Int, _ log: HandoffLog, _ deadline: UInt64
) async throws {
  // Longer than any run: a contender without a turn should show in the figures, not fail.
  let options = LockOptions(timeout: .seconds(60))
  while true {
    let lock = try await locker.acquire(key, options: options)
    guard Monotonic.now() < deadline else {
      try await lock.release()
      return
    }
    log.enter(contender)
    try await Task.sleep(for: .milliseconds(Turn.holdMilliseconds))
    log.leave()
    try await lock.release()
    try await Task.sleep(for: .milliseconds(Turn.thinkMilliseconds))
  }
}
