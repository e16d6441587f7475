import AsyncRedisLock

/// What several jobs of the library need.
enum LibraryLocks {
  /// A locker that may take a while to release 100,000 locks at its end.
  static func locker(_ order: WorkerOrder) async throws -> Locker {
    var configuration = try LockerConfiguration(url: order.url)
    configuration.operationTimeout = .seconds(3)
    return try await Locker(configuration: configuration)
  }

  /// Takes so many locks, by 100 tasks, or as many as can be taken in time.
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
