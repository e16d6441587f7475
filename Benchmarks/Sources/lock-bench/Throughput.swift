import AsyncRedisLock
import PrivateRedis

/// How many locks can be taken and released in a second, by one task and by many.
struct Throughput {
  let server: RedisServer
  let rounds: Int

  private struct Sample {
    let rate: Double
    let usage: Usage
  }

  private static let taskCounts = [1, 64, 1000]

  func run() async throws {
    let locker = try await Locker(url: server.url)
    var floor: [Sample] = []
    var library: [Int: [Sample]] = [:]
    // Interleaved, so that what else goes on in the machine falls on all alike.
    for _ in 0..<rounds {
      floor.append(try await measure(20_000) { try runFloor(20_000) })
      for tasks in Self.taskCounts {
        let pairs = tasks == 1 ? 20_000 : 100_000
        library[tasks, default: []].append(
          try await measure(pairs) { try await runLibrary(locker, tasks: tasks, pairs: pairs) })
      }
    }
    await locker.close()

    print("Acquire and release, pairs per second, medians of \(rounds) rounds on one connection:")
    let base = report("plain blocking hiredis", floor, base: nil)
    for tasks in Self.taskCounts {
      _ = report("\(tasks) task\(tasks == 1 ? "" : "s")", library[tasks] ?? [], base: base)
    }
  }

  private func runFloor(_ pairs: Int) throws {
    let floor = try Floor(socketPath: server.socketPath ?? "")
    for _ in 0..<pairs { try floor.pair("bench:floor") }
  }

  private func runLibrary(_ locker: Locker, tasks: Int, pairs: Int) async throws {
    let options = LockOptions(timeout: .seconds(10))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<tasks {
        group.addTask {
          let key = "bench:\(index)"
          for _ in 0..<pairs / tasks {
            try await locker.acquire(key, options: options).release()
          }
        }
      }
      try await group.waitForAll()
    }
  }

  private func measure(_ pairs: Int, _ body: () async throws -> Void) async throws -> Sample {
    let client = RedisClient(server)
    let before = try Usage.now(client)
    let start = ContinuousClock.now
    try await body()
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    return Sample(rate: Double(pairs) / seconds, usage: try Usage.now(client) - before)
  }

  /// Prints the median sample and returns its rate.
  private func report(_ name: String, _ samples: [Sample], base: Double?) -> Double {
    let median = samples.sorted { $0.rate < $1.rate }[samples.count / 2]
    var line = "  \(name.padded(24)) \(median.rate.text(0)) pairs/s"
    if let base { line += ", \((median.rate / base).text(2)) of plain hiredis" }
    line += "; CPU client \(median.usage.clientSeconds.text(2)) s,"
    line += " server \(median.usage.serverSeconds.text(2)) s"
    if let writes = median.usage.writes {
      let share = Double(writes) * 1000 / Double(median.usage.commands)
      line += "; \(share.text(1)) writes per 1,000 commands"
    }
    print(line)
    return median.rate
  }
}
