import Foundation

/// One pair after the other.
struct CratePairs: Workload {
  private let locker: CrateLocker
  private var lock: LockCommands
  private let count: Int
  private let waiters: CrateWaiters?

  init(_ order: WorkerOrder) throws {
    guard case .pairs(let count, let held, let waiters) = order.job else {
      throw BenchError("wrong job")
    }
    self.count = count
    locker = try CrateLocker(url: order.url)
    lock = .crate(order.ownKey(0), locker.scripts)
    try HeldKeys.take(held, order, locker.connection)
    self.waiters = try waiters > 0 ? CrateWaiters(waiters, order) : nil
    var latencies = PairLatencies()
    for _ in 0..<200 { try pair(&latencies) }
  }

  mutating func run(until deadline: UInt64) throws -> Outcome {
    var latencies = PairLatencies()
    for _ in 0..<count { try pair(&latencies) }
    return latencies.outcome
  }

  private mutating func pair(_ latencies: inout PairLatencies) throws {
    lock.renew()
    let start = Monotonic.now()
    try LockCommands.checkAcquired(locker.connection.call(lock.acquire))
    let held = Monotonic.now()
    try locker.release(lock)
    latencies.record(start, held, Monotonic.now())
  }

  func end() throws { waiters?.stop() }
}
