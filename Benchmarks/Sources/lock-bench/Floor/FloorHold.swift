/// Extends many locks once a second, in batches of 256 commands on one connection.
struct FloorHold: Workload {
  private let connection: HiredisConnection
  private var extensions: [PreparedCommand] = []
  private var lost = 0

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

  mutating func run(until deadline: UInt64) throws -> Outcome {
    // Starts in the middle of each second, so that as many extensions as seconds are measured.
    var next = Monotonic.now() + 500_000_000
    while true {
      Monotonic.sleep(until: min(next, deadline))
      guard Monotonic.now() < deadline else { break }
      var extended = 0
      for batch in Pipeline.batches(of: extensions.count) {
        try Pipeline.send(Array(extensions[batch]), connection) { reply in
          extended += reply == .integer(1) ? 1 : 0
        }
      }
      lost = extensions.count - extended
      next += 1_000_000_000
    }
    return Outcome(operations: extensions.count)
  }

  var lostLocks: Int? { lost }
}
