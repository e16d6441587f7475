import AsyncRedisLock
import Foundation

/// Runs a job once at each time of its timetable, however many workers there are.
///
/// If started with a number, the program is a worker. Otherwise, it starts five of them.
@main
enum ScheduledJob {
  static let url = ProcessInfo.processInfo.environment["REDIS_LOCK_URL"] ?? "redis://127.0.0.1:6379"
  private static let times = 4

  static func main() async throws {
    let arguments = CommandLine.arguments
    if arguments.count > 3, let number = Int(arguments[1]), let start = TimeInterval(arguments[3]) {
      try await work(number, into: arguments[2], from: start)
    } else {
      try await compare()
    }
  }

  private static func compare() async throws {
    print("Five workers have the same timetable: a report every second.")
    let file = FileManager.default.temporaryDirectory.appending(path: "report-\(UUID())")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data().write(to: file)
    // A start after all workers have been started, and the same for all.
    let start = Date.now.timeIntervalSince1970.rounded(.down) + 3
    let workers = try (1...5).map { number in
      let process = Process()
      process.executableURL = Bundle.main.executableURL
      process.arguments = [String(number), file.path(), String(start)]
      try process.run()
      return process
    }
    for worker in workers { worker.waitUntilExit() }
    let reports = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    precondition(reports.count == times && Set(reports).count == times, "\(reports)")
    print("\(reports.count) reports were made, each once.")
  }

  private static func work(_ worker: Int, into file: String, from start: TimeInterval) async throws
  {
    let locker = try await Locker(url: url)
    // The clocks of hosts differ, and a late worker must find the lock still taken although the report was quick.
    // So the lock is held for longer than the clocks can differ.
    let options = LockOptions(minHold: .milliseconds(500), label: "worker \(worker)")
    for tick in 0..<times {
      // The clock of each worker is late by a different amount.
      let late = Double(worker) * 0.03
      let pause = start + Double(tick) + late - Date.now.timeIntervalSince1970
      // If a worker is so late that the lock may be free again, it leaves this time to the others.
      guard pause > -0.2 else { continue }
      try await Task.sleep(for: .seconds(max(pause, 0)))
      let ran: Void? = try await locker.withLockIfAvailable("example:report", options: options) {
        lock in
        print("  worker \(worker) makes the report with the number \(lock.fencingToken ?? 0)")
        let handle = try FileHandle(forWritingTo: URL(filePath: file))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("\(lock.fencingToken ?? 0)\n".utf8))
      }
      if ran == nil { print("  worker \(worker) sees that another worker is at it") }
    }
    await locker.close()
  }
}
