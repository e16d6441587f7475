import AsyncRedisLock

/// Helpers for several jobs of the library.
enum LibraryLocks {
  /// A locker whose release of 100,000 locks at its end may take a while.
  static func locker(_ order: WorkerOrder) async throws -> Locker {
    var configuration = try LockerConfiguration(url: order.url)
    configuration.operationTimeout = .seconds(3)
    return try await Locker(configuration: configuration)
  }

  /// Takes this many locks in 100 tasks, or as many as it can in the given time.
  static func take(
    _ count: Int, _ order: WorkerOrder, _ locker: Locker, _ options: LockOptions,
    within seconds: UInt64
  ) async throws -> [Lock] {
    let tasks = 100
    let deadline = Monotonic.now() + seconds * 1_000_000_000
    return try await withThrowingTaskGroup(of: [Lock].self) { group in
      for task in 0..<tasks {
        group.addTask {
          var held: [Lock] = []
          for index in stride(from: task, to: count, by: tasks)
          where Monotonic.now() < deadline {
            held.append(try await locker.acquire(order.heldKey(index), options: options))
          }
          return held
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
  }
}
