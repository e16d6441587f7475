import AsyncRedisLock
import Foundation
import PrivateRedis

/// Shows the main job in one run: several processes share a lock, one is killed, and one loses its lock.
///
/// If started with arguments, the program is one of those processes; see ``Worker``.
@main
enum Demo {
  static func main() async throws {
    if CommandLine.arguments.count > 1 {
      try await Worker.main(Array(CommandLine.arguments.dropFirst()))
      return
    }
    let server = try RedisServer()
    defer { server.stop() }
    let report = Report()
    report.say("A private redis-server, process \(server.processID ?? 0), runs for this demo.")

    try countTogether(server, report)
    try await killAHolder(server, report)
    try await takeALockAway(server, report)

    server.stop()
    report.conclude()
  }

  /// Lets processes increment a number in a file: read, think, write.
  private static func countTogether(_ server: RedisServer, _ report: Report) throws {
    let (processes, increments) = (6, 50)
    report.title("\(processes) processes increment a counter in a file, \(increments) times each")
    for isLocked in [false, true] {
      let file = FileManager.default.temporaryDirectory
        .appending(path: "async-redis-lock-demo-\(UUID().uuidString)")
      defer { try? FileManager.default.removeItem(at: file) }
      try Data("0".utf8).write(to: file)
      let start = ContinuousClock.now
      let workers = try (0..<processes).map { _ in
        try Worker.start("count", server.url, file.path(), String(increments), String(isLocked))
      }
      for worker in workers { worker.waitUntilExit() }
      let time = ContinuousClock.now - start
      let count = Int(String(decoding: try Data(contentsOf: file), as: UTF8.self)) ?? 0
      let lost = processes * increments - count
      report.say(
        "\(isLocked ? "with the lock   " : "without the lock"): the file says \(count),"
          + " \(lost) increments lost (\(time.inSeconds))")
      if isLocked {
        report.check(lost == 0, "nothing is lost with the lock")
      } else {
        report.check(lost > 0, "increments are lost without it, so the lock is needed")
      }
      report.check(
        workers.allSatisfy { $0.terminationStatus == 0 }, "all \(processes) processes succeeded")
    }
  }

  /// Kills the holder of a lock; the key frees itself after its ttl.
  private static func killAHolder(_ server: RedisServer, _ report: Report) async throws {
    report.title("A process that holds the lock is killed with SIGKILL")
    let locker = try await Locker(url: server.url)
    let ttl = Duration.seconds(2)
    let worker = try Worker.start("hold", server.url, "demo:killed", String(ttl.components.seconds))
    while try await locker.inspect("demo:killed") == nil {
      try await Task.sleep(for: .milliseconds(10))
    }
    // Longer than the ttl, to show that extensions keep the lock.
    try await Task.sleep(for: ttl * 1.5)
    let holder = try await locker.inspect("demo:killed")?.holder
    report.say(
      "held for \((ttl * 1.5).inSeconds) with a ttl of \(ttl.inSeconds), by \(holder.map { "\($0)" } ?? "no holder")"
    )
    report.check(
      holder?.processID == worker.processIdentifier, "the lock is kept while its holder lives")
    kill(worker.processIdentifier, SIGKILL)
    worker.waitUntilExit()
    let start = ContinuousClock.now
    let lock = try await locker.acquire("demo:killed", options: LockOptions(timeout: .seconds(10)))
    let waited = ContinuousClock.now - start
    report.say(
      "taken over \(waited.inSeconds) after the kill, fencing token \(lock.fencingToken ?? 0)")
    report.check(waited < ttl + .milliseconds(500), "the key freed itself within its ttl")
    try await lock.release()
    await locker.close()
  }

  /// Deletes a lock behind its holder's back; the holder's work is cancelled.
  private static func takeALockAway(_ server: RedisServer, _ report: Report) async throws {
    report.title("A lock is taken away from its holder with DEL")
    let locker = try await Locker(url: server.url)
    let client = RedisClient(server)
    var deleted = ContinuousClock.now
    var wasCancelled = false
    do {
      try await locker.withLock("demo:taken") { lock in
        _ = try client("DEL", "demo:taken")
        deleted = .now
        do {
          try await Task.sleep(for: .seconds(10))
        } catch {
          wasCancelled = true
          report.say("the body was cancelled \((ContinuousClock.now - deleted).inSeconds) later")
          throw error
        }
      }
      report.check(false, "the loss is noticed")
    } catch LockError.Code.lost {
      report.check(wasCancelled, "the body was cancelled, and withLock threw \"lost\"")
    }
    await locker.close()
  }
}
