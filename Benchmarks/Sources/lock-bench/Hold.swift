import AsyncRedisLock
import PrivateRedis

/// What it costs to hold many locks, with the default ttl of 3 s and extension every second.
struct Hold {
  let server: RedisServer
  let locks: Int
  let seconds: Int

  func run() async throws {
    let locker = try await Locker(url: server.url)
    let client = RedisClient(server)
    let held = try await withThrowingTaskGroup(of: [Lock].self) { group in
      let tasks = 100
      for task in 0..<tasks {
        group.addTask {
          var held: [Lock] = []
          for index in stride(from: task, to: locks, by: tasks) {
            held.append(
              try await locker.acquire(
                "bench:held:\(index)", options: LockOptions(timeout: .seconds(10))))
          }
          return held
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    let before = try Usage.now(client)
    try await Task.sleep(for: .seconds(seconds))
    let usage = try Usage.now(client) - before
    let lost = held.count { !$0.isHeld }

    print("\(locks) locks held for \(seconds) s:")
    print("  lost: \(lost)")
    print(
      "  commands on the wire: \((Double(usage.commands) / Double(seconds)).text(0)) per second")
    let (clientShare, serverShare) = (
      usage.clientSeconds * 100 / Double(seconds), usage.serverSeconds * 100 / Double(seconds)
    )
    print("  CPU: client \(clientShare.text(1)) %, server \(serverShare.text(1)) % of a core")
    if let writes = usage.writes {
      print("  calls of write: \((Double(writes) / Double(seconds)).text(0)) per second")
    }
    await locker.close()
  }
}
