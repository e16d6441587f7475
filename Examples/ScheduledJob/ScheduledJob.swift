import AsyncRedisLock
import Foundation

/// A job on a timetable that runs once at each time, however many workers there are.
///
/// Started with a number, the program is a worker; without one, it starts five of them.
@main
enum ScheduledJob {
  static let url = ProcessInfo.processInfo.environment["REDIS_LOCK_URL"] ?? "redis://127.0.0.1:6379"
  private static let times = 4

  static func main() async throws {
    if CommandLine.arguments.count > 2 {
      try await work(Int(CommandLine.arguments[1]) ?? 0, into: CommandLine.arguments[2])
    } else {
      try await compare()
    }
  }

  private static func compare() async throws {
    print("Five workers have the same timetable: a report every second.")
    let file = FileManager.default.temporaryDirectory.appending(path: "report-\(UUID())")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data().write(to: file)
    let workers = try (1...5).map { number in
      let process = Process()
      process.executableURL = Bundle.main.executableURL
      process.arguments = [String(number), file.path()]
      try process.run()
      return process
    }
    for worker in workers { worker.waitUntilExit() }
    let reports = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    precondition(reports.count == times && Set(reports).count == times, "\(reports)")
    print("\(reports.count) reports were made, each once.")
  }

  private static func work(_ worker: Int, into file: String) async throws {
    let locker = try await Locker(url: url)
    // The clocks of hosts differ. A worker that comes late must find the lock still taken, though the report was
    // quick: so it is held for longer than they can differ.
    let options = LockOptions(minHold: .milliseconds(500), label: "worker \(worker)")
    for _ in 0..<times {
      try await untilNextSecond(late: .milliseconds(worker * 30))
      let ran: Void? = try await locker.withLockIfAvailable("example:report", options: options) {
        lock in
        print("  worker \(worker) makes the report with the number \(lock.fencingToken ?? 0)")
        let handle = try FileHandle(forWritingTo: URL(filePath: file))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("\(lock.fencingToken ?? 0)\n".utf8))
      }
      if ran == nil { print("  worker \(worker) sees that somebody is at it") }
    }
    await locker.close()
  }

  /// Sleeps until the next time of the timetable, by a clock that is late.
  private static func untilNextSecond(late: Duration) async throws {
    let now = Date.now.timeIntervalSince1970
    try await Task.sleep(for: .seconds(now.rounded(.down) + 1 - now) + late)
  }
}
