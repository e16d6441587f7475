/// Extends many locks once a second, in batches of 256 commands on one connection.
struct FloorHold: Workload {
  private let connection: HiredisConnection
  private var extensions: [PreparedCommand] = []

  init(_ order: WorkerOrder) throws {
    guard case .hold(let count) = order.job else { throw BenchError("wrong job") }
    connection = try HiredisConnection(url: order.url)
    let scripts = try ScriptDigests.floor(connection)
    for batch in Pipeline.batches(of: count) {
      let locks = batch.map { LockCommands.floor(order.heldKey($0), scripts) }
      try Pipeline.send(locks.map(\.acquire), connection, check: LockCommands.checkAcquired)
      extensions += locks.map(\.extend)
    }
  }

  func run(until deadline: UInt64) throws -> Outcome {
    var lost = 0
    var next = Monotonic.now()
    repeat {
      var extended = 0
      for batch in Pipeline.batches(of: extensions.count) {
        try Pipeline.send(Array(extensions[batch]), connection) { reply in
          extended += reply == .integer(1) ? 1 : 0
        }
      }
      lost = extensions.count - extended
      next += 1_000_000_000
      Monotonic.sleep(until: min(next, deadline))
    } while Monotonic.now() < deadline
    return Outcome(operations: extensions.count, values: [.locksLost: Double(lost)])
  }
}
