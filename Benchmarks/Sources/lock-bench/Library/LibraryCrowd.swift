import AsyncRedisLock

/// The library's other work besides the measured one.
struct LibraryCrowd: Sendable {
  private let held: [Lock]
  private let waiters: LibraryWaiters?
  private let lockers: [Locker]

  init(_ order: WorkerOrder, _ locker: Locker) async throws {
    let crowd = order.crowd
    held = try await LibraryLocks.take(
      crowd.held, order, locker,
      LockOptions(ttl: .milliseconds(HeldKeys.ttl), extend: .milliseconds(HeldKeys.ttl / 3)),
      within: 30)
    guard held.count == crowd.held else { throw BenchError("too few locks could be taken") }
    waiters = try await crowd.waiters > 0 ? LibraryWaiters(crowd.waiters, order, locker) : nil
    var lockers: [Locker] = []
    for _ in 0..<crowd.lockers { lockers.append(try await Locker(url: order.url)) }
    self.lockers = lockers
    try await Self.age(locker, by: crowd.formerPairs, order)
  }

  /// Takes this many pairs in many tasks.
  private static func age(_ locker: Locker, by pairs: Int, _ order: WorkerOrder) async throws {
    let tasks = 64
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<tasks {
        group.addTask {
          for _ in 0..<pairs / tasks {
            try await locker.acquire(order.ownKey(2 + task)).release()
          }
        }
      }
      try await group.waitForAll()
    }
  }

  func end() async {
    await waiters?.stop()
    for locker in lockers { await locker.close() }
  }
}
