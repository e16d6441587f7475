import AsyncRedisLock

/// What several jobs of the library need.
enum LibraryLocks {
  /// A locker whose end may take as long as the release of 100,000 locks does.
  static func locker(_ order: WorkerOrder) async throws -> Locker {
    var configuration = try LockerConfiguration(url: order.url)
    configuration.operationTimeout = .seconds(5)
    return try await Locker(configuration: configuration)
  }

  /// Takes so many locks, by 100 tasks, or as many as can be taken in 6 s.
  static func take(
    _ count: Int, _ order: WorkerOrder, _ locker: Locker, _ options: LockOptions
  ) async throws -> [Lock] {
    let tasks = 100
    let deadline = Monotonic.now() + 6_000_000_000
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
