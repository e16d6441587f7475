/// One pair after the other, by blocking calls.
struct FloorPairs: Workload {
  private let connection: HiredisConnection
  private var lock: LockCommands
  private let count: Int

  init(_ order: WorkerOrder) throws {
    guard case .pairs(let count, let held, _) = order.job else { throw BenchError("wrong job") }
    self.count = count
    connection = try HiredisConnection(url: order.url)
    lock = LockCommands.floor(order.ownKey(0), try .floor(connection))
    // It has nobody wait: on plain hiredis, who waits costs a connection and nothing else.
    try HeldKeys.take(held, order, connection)
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
    try LockCommands.checkAcquired(connection.call(lock.acquire))
    let held = Monotonic.now()
    try LockCommands.checkReleased(connection.call(lock.release))
    latencies.record(start, held, Monotonic.now())
  }
}
