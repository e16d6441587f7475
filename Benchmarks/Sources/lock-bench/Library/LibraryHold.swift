import AsyncRedisLock

/// Holds many locks with the default options: a ttl of 3 s, extended every second.
struct LibraryHold: Workload {
  private let locker: Locker
  private let held: [Lock]
  private let count: Int

  init(_ order: WorkerOrder) async throws {
    guard case .hold(let count) = order.job else { throw BenchError("wrong job") }
    self.count = count
    locker = try await LibraryLocks.locker(order)
    held = try await LibraryLocks.take(
      count, order, locker, LockOptions(timeout: .seconds(10)), within: 30)
  }

  func run(until deadline: UInt64) async throws -> Outcome {
    let now = Monotonic.now()
    try await Task.sleep(for: .nanoseconds(deadline > now ? deadline - now : 0))
    return Outcome(operations: count)
  }

  var lostLocks: Int? { held.count { !$0.isHeld } }

  var locksNotTaken: Int? { count - held.count }

  func end() async { await locker.close() }
}
