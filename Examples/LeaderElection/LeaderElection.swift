import AsyncRedisLock
import Foundation

/// One of several processes leads; when it dies, the next one takes over.
///
/// If started with a name, the program is a candidate. Otherwise, it starts three candidates and kills the leader.
@main
enum LeaderElection {
  static let url = ProcessInfo.processInfo.environment["REDIS_LOCK_URL"] ?? "redis://127.0.0.1:6379"
  static let key = "example:leader"

  static func main() async throws {
    if CommandLine.arguments.count > 1 {
      try await Candidate(name: CommandLine.arguments[1]).run()
    } else {
      try await killTheLeader()
    }
  }

  private static func killTheLeader() async throws {
    print("Three candidates stand for election. The one that has the lock leads.")
    let candidates = try ["Ada", "Brian", "Clara"].map { name in
      let process = Process()
      process.executableURL = Bundle.main.executableURL
      process.arguments = [name]
      try process.run()
      return process
    }
    defer { for candidate in candidates { candidate.terminate() } }

    let locker = try await Locker(url: url)
    let first = try await leader(on: locker, besides: nil)
    try await Task.sleep(for: .seconds(2))
    print("The leader is killed. It cannot even say goodbye; its lock ends with its ttl.")
    kill(first, SIGKILL)
    let second = try await leader(on: locker, besides: first)

    print("The lock is taken away from the next leader, which learns of it by its next extension.")
    try await locker.forceRelease(key)
    let third = try await leader(on: locker, besides: second)
    while try await locker.inspect(key)?.waiters.contains(where: { $0.processID == second }) != true
    {
      try await Task.sleep(for: .milliseconds(20))
    }
    precondition(Set([first, second, third]).count == 3, "each of them has led")
    print("Each of the three has led.")
  }

  /// Waits until another process leads, and returns its number.
  private static func leader(on locker: Locker, besides former: Int32?) async throws -> Int32 {
    while true {
      if let leader = try await locker.inspect(key)?.holder.processID, leader != former {
        return leader
      }
      try await Task.sleep(for: .milliseconds(20))
    }
  }
}
