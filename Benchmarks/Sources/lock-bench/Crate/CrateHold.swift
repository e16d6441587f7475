/// Extends each lock a second after its last extension, together with the others that are due by then.
struct CrateHold: Workload {
  private let connection: HiredisConnection
  private var extensions: [PreparedCommand] = []
  private var calendar = Calendar()
  private var lost = 0

  private static let interval: UInt64 = 1_000_000_000

  init(_ order: WorkerOrder) throws {
    guard case .hold(let count) = order.job else { throw BenchError("wrong job") }
    let locker = try CrateLocker(url: order.url)
    connection = locker.connection
    for batch in Pipeline.batches(of: count) {
      let locks = batch.map { LockCommands.crate(order.heldKey($0), locker.scripts) }
      guard try locker.tryAcquire(locks).allSatisfy(\.self) else {
        throw BenchError("an uncontended lock was not taken")
      }
      extensions += locks.map(\.extend)
      for index in batch { calendar.add(index, at: Monotonic.now() + Self.interval) }
      try extendDue(until: Monotonic.now())
    }
  }

  mutating func run(until deadline: UInt64) throws -> Outcome {
    while Monotonic.now() < deadline { try extendDue(until: deadline) }
    return Outcome(operations: extensions.count)
  }

  var lostLocks: Int? { lost }

  private mutating func extendDue(until deadline: UInt64) throws {
    let due = calendar.waitForDue(upTo: Pipeline.batch, until: deadline)
    var kept: [Bool] = []
    try Pipeline.send(due.map { extensions[$0] }, connection) { kept.append($0 == .integer(1)) }
    for (index, isKept) in zip(due, kept) {
      if isKept {
        calendar.add(index, at: Monotonic.now() + Self.interval)
      } else {
        lost += 1
      }
    }
  }
}
