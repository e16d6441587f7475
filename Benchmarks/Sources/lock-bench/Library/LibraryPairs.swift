import AsyncRedisLock

/// Takes one pair after another in one task.
struct LibraryPairs: Workload {
  private let locker: Locker
  private let key: String
  private let count: Int
  private let crowd: LibraryCrowd

  init(_ order: WorkerOrder) async throws {
    guard case .pairs(let count) = order.job else { throw BenchError("wrong job") }
    self.count = count
    key = order.ownKey(0)
    locker = try await LibraryLocks.locker(order)
    crowd = try await LibraryCrowd(order, locker)
    _ = try await pairs(PairLatencies.warmUpPairs, until: PairLatencies.warmUpEnd)
  }

  func run(until deadline: UInt64) async throws -> Outcome {
    try await pairs(count, until: deadline)
  }

  /// Runs in the pool, like most tasks, and not on the main thread.
  @concurrent private func pairs(
    _ count: Int, until deadline: UInt64
  ) async throws -> Outcome {
    var latencies = PairLatencies()
    var start = Monotonic.now()
    for _ in 0..<count where start < deadline {
      let lock = try await locker.acquire(key)
      let held = Monotonic.now()
      try await lock.release()
      let end = Monotonic.now()
      latencies.record(start, held, end)
      start = end
    }
    return latencies.outcome
  }

  func end() async throws {
    await crowd.end()
    await locker.close()
  }
}
