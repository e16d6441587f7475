import AsyncRedisLock

/// Takes pairs from many tasks, each with a key of its own, on one locker.
struct LibraryThroughput: Workload {
  private let order: WorkerOrder
  private let tasks: Int
  private let locker: Locker

  init(_ order: WorkerOrder) async throws {
    guard case .throughput(let tasks) = order.job else { throw BenchError("wrong job") }
    self.order = order
    self.tasks = tasks
    locker = try await Locker(url: order.url)
    _ = try await run(until: Monotonic.now() + 50_000_000)
  }

  func run(until deadline: UInt64) async throws -> Outcome {
    let (order, locker) = (order, locker)
    return try await withThrowingTaskGroup(of: Int.self) { group in
      for task in 0..<tasks {
        let key = order.ownKey(task)
        group.addTask {
          var pairs = 0
          while Monotonic.now() < deadline {
            try await locker.acquire(key).release()
            pairs += 1
          }
          return pairs
        }
      }
      return Outcome(operations: try await group.reduce(0, +))
    }
  }

  func end() async { await locker.close() }
}
