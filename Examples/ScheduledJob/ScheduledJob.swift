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
    // When all have been started, and the same for all.
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
    // The clocks of hosts differ. A worker that comes late must find the lock still taken, though the report was
    // quick: so it is held for longer than they can differ.
    let options = LockOptions(minHold: .milliseconds(500), label: "worker \(worker)")
    for tick in 0..<times {
      // The clock of each worker is late by another time.
      let late = Double(worker) * 0.03
      let pause = start + Double(tick) + late - Date.now.timeIntervalSince1970
      // A worker that comes when the lock may be free again leaves this time to the others.
      guard pause > -0.2 else { continue }
      try await Task.sleep(for: .seconds(max(pause, 0)))
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
}
