/// Takes pairs on many keys, pipelined in batches of 256 commands on one connection.
struct FloorThroughput: Workload {
  private let connection: HiredisConnection
  private var locks: [LockCommands]
  private var next = 0

  init(_ order: WorkerOrder) throws {
    guard case .throughput(let tasks) = order.job else { throw BenchError("wrong job") }
    connection = try HiredisConnection(url: order.url)
    let scripts = try ScriptDigests.floor(connection)
    locks = (0..<tasks).map { LockCommands.floor(order.ownKey($0), scripts) }
    for _ in 0..<20 { _ = try batch() }
  }

  mutating func run(until deadline: UInt64) throws -> Outcome {
    var pairs = 0
    while Monotonic.now() < deadline { pairs += try batch() }
    return Outcome(operations: pairs)
  }

  /// Takes and releases as many locks as fit into a batch; with few keys, it uses some of them twice.
  private mutating func batch() throws -> Int {
    var left = Pipeline.batch / 2
    var groups: [Int] = []
    while left > 0 {
      let group = min(left, locks.count - next)
      for index in next..<next + group {
        locks[index].renew()
        connection.append(locks[index].acquire)
      }
      for index in next..<next + group { connection.append(locks[index].release) }
      groups.append(group)
      next = (next + group) % locks.count
      left -= group
    }
    for group in groups {
      for _ in 0..<group { try LockCommands.checkAcquired(connection.reply()) }
      for _ in 0..<group { try LockCommands.checkReleased(connection.reply()) }
    }
    return Pipeline.batch / 2
  }
}
