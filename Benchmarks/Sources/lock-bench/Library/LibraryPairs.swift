import AsyncRedisLock

/// Takes one pair after another in one task.
struct LibraryPairs: Workload {
  private let locker: Locker
  private let key: String
  private let count: Int
  private let held: [Lock]
  private let waiters: LibraryWaiters?

  init(_ order: WorkerOrder) async throws {
    guard case .pairs(let count, let held, let waiters) = order.job else {
      throw BenchError("wrong job")
    }
    self.count = count
    key = order.ownKey(0)
    locker = try await LibraryLocks.locker(order)
    self.held = try await LibraryLocks.take(
      held, order, locker,
      LockOptions(ttl: .milliseconds(HeldKeys.ttl), extend: .milliseconds(HeldKeys.ttl / 3)),
      within: 30)
    guard self.held.count == held else { throw BenchError("too few locks could be taken") }
    self.waiters = try await waiters > 0 ? LibraryWaiters(waiters, order, locker) : nil
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
    await waiters?.stop()
    await locker.close()
  }
}
