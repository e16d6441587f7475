import AsyncRedisLock
import CLedger
import Foundation

/// Shows a C library that blocks its thread for a long time under a lock, and asks between two steps whether it may
/// continue.
///
/// Started with a name, the program is a writer; without one, it starts four of them.
@main
enum CInterop {
  static let url = ProcessInfo.processInfo.environment["REDIS_LOCK_URL"] ?? "redis://127.0.0.1:6379"
  private static let entries = 30

  static func main() async throws {
    if CommandLine.arguments.count > 2 {
      try await write(CommandLine.arguments[1], into: CommandLine.arguments[2])
    } else {
      try await writeTogether()
    }
  }

  private static func writeTogether() async throws {
    print("Four processes write to a ledger with a C library that knows nothing of the others.")
    let file = FileManager.default.temporaryDirectory.appending(path: "ledger-\(UUID())").path()
    defer { try? FileManager.default.removeItem(atPath: file) }
    let writers = try (1...4).map { number in
      let process = Process()
      process.executableURL = Bundle.main.executableURL
      process.arguments = ["writer \(number)", file]
      try process.run()
      return process
    }
    for writer in writers { writer.waitUntilExit() }
    let count = Int(ledger_count(file))
    precondition(count == writers.count * entries, "the ledger has \(count) entries")
    print("The ledger has \(count) entries: none is lost.")
    try await loseTheLock()
  }

  /// A writer that loses its lock stops after its present entry.
  private static func loseTheLock() async throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "ledger-\(UUID())").path()
    defer { try? FileManager.default.removeItem(atPath: file) }
    let locker = try await Locker(url: url)
    let options = LockOptions(ttl: .milliseconds(500), extend: .milliseconds(100))
    do {
      try await locker.withLock(file, options: options) { lock in
        async let added = add(1000, to: file, as: "loser", under: lock)
        while ledger_count(file) < 5 { try await Task.sleep(for: .milliseconds(5)) }
        try await Locker(url: url).forceRelease(file)
        print(
          "The lock was taken away from a writer of 1000 entries: it stops after \(await added).")
      }
    } catch LockError.Code.lost {
      precondition(ledger_count(file) < 1000, "the writer went on without its lock")
    }
  }

  private static func write(_ name: String, into file: String) async throws {
    let locker = try await Locker(url: url)
    // The work takes longer than the lock's ttl. The lock is extended in the background, without the threads that
    // may be blocked.
    let options = LockOptions(timeout: nil, ttl: .milliseconds(200), extend: .milliseconds(50))
    try await locker.withLock("example:ledger", options: options) { lock in
      let added = await add(entries, to: file, as: name, under: lock)
      print("  \(name) has added \(added) entries")
    }
    await locker.close()
  }

  /// Calls the library on a thread that may block.
  private static func add(
    _ count: Int, to file: String, as name: String, under lock: Lock
  ) async -> Int {
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        // The C function gets the lock as its context, and passes it back in each call.
        let context = Unmanaged.passUnretained(lock).toOpaque()
        let added = withExtendedLifetime(lock) {
          ledger_add(
            file, name, Int32(count),
            { context in
              guard let context else { return 0 }
              return Unmanaged<Lock>.fromOpaque(context).takeUnretainedValue().isHeld ? 1 : 0
            }, context)
        }
        continuation.resume(returning: Int(added))
      }
    }
  }
}
