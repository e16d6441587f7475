import Foundation

/// Hands a token on by `RPUSH` to the contender blocked in `BLPOP`; each has a thread and a connection.
struct FloorHandoff: Workload {
  private let order: WorkerOrder
  private let tasks: Int
  private let log: HandoffLog
  private let connections: [HiredisConnection]

  init(_ order: WorkerOrder) throws {
    guard case .handoff(let tasks) = order.job else { throw BenchError("wrong job") }
    self.order = order
    self.tasks = tasks
    log = try HandoffLog(path: order.logPath ?? "")
    connections = try (0..<tasks).map { _ in try HiredisConnection(url: order.url) }
    if order.worker == 0 { try connections[0].call(["RPUSH", order.contendedKey, "token"]) }
  }

  func run(until deadline: UInt64) throws -> Outcome {
    let ended = DispatchSemaphore(value: 0)
    for (task, connection) in connections.enumerated() {
      let contender = FloorContender(
        number: order.worker * tasks + task, key: order.contendedKey, connection: connection,
        log: log, deadline: deadline)
      let thread = Thread {
        contender.run()
        ended.signal()
      }
      thread.stackSize = 1 << 18
      thread.start()
    }
    for _ in connections { ended.wait() }
    return Outcome()
  }
}
