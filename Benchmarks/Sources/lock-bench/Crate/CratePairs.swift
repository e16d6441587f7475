import Foundation

/// Takes one pair after another.
struct CratePairs: Workload {
  private let locker: CrateLocker
  private var lock: LockCommands
  private let count: Int
  private let waiters: CrateWaiters?

  init(_ order: WorkerOrder) throws {
    guard case .pairs(let count) = order.job else { throw BenchError("wrong job") }
    let (held, waiters) = (order.crowd.held, order.crowd.waiters)
    self.count = count
    locker = try CrateLocker(url: order.url)
    lock = .crate(order.ownKey(0), locker.scripts)
    try HeldKeys.take(held, order, locker.connection)
    self.waiters = try waiters > 0 ? CrateWaiters(waiters, order) : nil
    _ = try pairs(PairLatencies.warmUpPairs, until: PairLatencies.warmUpEnd)
  }

  mutating func run(until deadline: UInt64) throws -> Outcome {
    try pairs(count, until: deadline)
  }

  private mutating func pairs(_ count: Int, until deadline: UInt64) throws -> Outcome {
    var latencies = PairLatencies()
    var start = Monotonic.now()
    for _ in 0..<count where start < deadline { start = try pair(&latencies, start) }
    return latencies.outcome
  }

  private mutating func pair(_ latencies: inout PairLatencies, _ start: UInt64) throws -> UInt64 {
    lock.renew()
    try LockCommands.checkAcquired(locker.connection.call(lock.acquire))
    let held = Monotonic.now()
    try locker.release(lock)
    let end = Monotonic.now()
    latencies.record(start, held, end)
    return end
  }

  func end() throws { waiters?.stop() }
}
