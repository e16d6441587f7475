/// Takes one pair after another by blocking calls.
struct FloorPairs: Workload {
  private let connection: HiredisConnection
  private var lock: LockCommands
  private let count: Int

  init(_ order: WorkerOrder) throws {
    guard case .pairs(let count) = order.job else { throw BenchError("wrong job") }
    self.count = count
    connection = try HiredisConnection(url: order.url)
    lock = LockCommands.floor(order.ownKey(0), try .floor(connection))
    // The floor runs no waiters: on plain hiredis, a waiter costs a connection and nothing else.
    try HeldKeys.take(order.crowd.held, order, connection)
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
    try LockCommands.checkAcquired(connection.call(lock.acquire))
    let held = Monotonic.now()
    try LockCommands.checkReleased(connection.call(lock.release))
    let end = Monotonic.now()
    latencies.record(start, held, end)
    return end
  }
}
