import AsyncRedisLock

/// A process that wants to lead.
struct Candidate {
  let name: String

  /// Waits to become the leader, leads as long as it can, and stands again.
  func run() async throws {
    let locker = try await Locker(url: LeaderElection.url)
    let options = LockOptions(
      timeout: nil, ttl: .seconds(2), extend: .milliseconds(500), label: name)
    while true {
      let lock = try await locker.acquire(LeaderElection.key, options: options)
      print("  \(name) leads, with the number \(lock.fencingToken ?? 0).")
      await withTaskGroup { group in
        group.addTask { try? await lead() }
        // Half a second to step down before another candidate can lead.
        group.addTask { try? await lock.waitUntilLost(within: .milliseconds(500)) }
        await group.next()
        group.cancelAll()
      }
      print("  \(name) steps down: \(lock.lossReason.map { "\($0)" } ?? "in time").")
      try await lock.release()
    }
  }

  /// The work that only one process may do at a time; it ends when its task is cancelled.
  private func lead() async throws {
    while true { try await Task.sleep(for: .milliseconds(100)) }
  }
}
