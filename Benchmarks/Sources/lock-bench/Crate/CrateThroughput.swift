/// Takes pairs from many tasks: the acquisitions share a connection, and each release opens one.
struct CrateThroughput: Workload {
  private let locker: CrateLocker
  private var locks: [LockCommands]

  init(_ order: WorkerOrder) throws {
    guard case .throughput(let tasks) = order.job else { throw BenchError("wrong job") }
    locker = try CrateLocker(url: order.url)
    let scripts = locker.scripts
    locks = (0..<tasks).map { .crate(order.ownKey($0), scripts) }
  }

  mutating func run(until deadline: UInt64) throws -> Outcome {
    var pairs = 0
    while Monotonic.now() < deadline {
      for index in locks.indices { locks[index].renew() }
      guard try locker.tryAcquire(locks).allSatisfy(\.self) else {
        throw BenchError("an uncontended lock was not taken")
      }
      for lock in locks { try locker.release(lock) }
      pairs += locks.count
    }
    return Outcome(operations: pairs)
  }
}
