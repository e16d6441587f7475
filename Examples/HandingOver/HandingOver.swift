import AsyncRedisLock
import Foundation

/// Passes a lock from one process to the next without its being free in between.
///
/// If started with an argument, the program is the next process, and reads what it needs from its standard input.
@main
enum HandingOver {
  static let url = ProcessInfo.processInfo.environment["REDIS_LOCK_URL"] ?? "redis://127.0.0.1:6379"
  static let key = "example:import"

  static func main() async throws {
    if CommandLine.arguments.count > 1 { try await takeOver() } else { try await begin() }
  }

  private static func begin() async throws {
    let locker = try await Locker(url: url)
    let lock = try await locker.acquire(key)
    print("The first process checks the import, under the number \(lock.fencingToken ?? 0).")

    // A competitor tries to get the lock all the time.
    let rival = Task {
      let rival = try await Locker(url: url)
      var attempts = 0
      while !Task.isCancelled {
        attempts += 1
        let caught = try? await rival.acquireIfAvailable(key)
        precondition(caught == nil, "the lock was free in between")
      }
      return attempts
    }

    let check = try await lock.detach()
    let next = Process()
    next.executableURL = Bundle.main.executableURL
    next.arguments = ["next"]
    let input = Pipe()
    next.standardInput = input
    try next.run()
    try input.fileHandleForWriting.write(contentsOf: JSONEncoder().encode(check))
    try input.fileHandleForWriting.close()
    print("It hands the lock over, and could end here.")
    while try await locker.inspect(key)?.holder.processID != next.processIdentifier {
      try await Task.sleep(for: .milliseconds(10))
    }
    rival.cancel()
    let attempts = try await rival.value
    next.waitUntilExit()
    precondition(next.terminationStatus == 0, "the next process has done its work")
    print("A competitor has tried to get the lock \(attempts) times, in vain.")
  }

  private static func takeOver() async throws {
    let input = try FileHandle.standardInput.readToEnd() ?? Data()
    let check = try JSONDecoder().decode(DetachedLock.self, from: input)
    let locker = try await Locker(url: url)
    let lock = try await locker.adopt(check)
    print("  The next process continues the import, under the number \(lock.fencingToken ?? 0).")
    try await Task.sleep(for: .milliseconds(300))
    try await lock.release()
  }
}
