import Foundation
import PrivateRedis
import Testing

/// Tries to take a key by `SET NX` all the time, on a thread of its own, as a client that knows of no queue.
final class Prober: Sendable {
  /// What it has seen.
  struct Report: Sendable {
    var attempts = 0
    var successes = 0
    /// An error that has ended it.
    var failure: String?
  }

  private let isStopped = Shared(false)
  private let report = Shared(Report())
  private let result = Shared<Report?>(nil)

  /// Starts to try; what it takes it gives back at once.
  init(_ server: RedisServer, key: String) {
    Thread.detachNewThread { [isStopped, report, result] in
      let client = RedisClient(server)
      var seen = Report()
      while !isStopped.value {
        do {
          seen.attempts += 1
          if try client("SET", key, "prober", "NX", "PX", "1000") != .null {
            seen.successes += 1
            try client("DEL", key)
          }
        } catch {
          seen.failure = "\(error)"
          break
        }
        report.value = seen
        usleep(20)
      }
      result.value = seen
    }
  }

  deinit { isStopped.value = true }

  /// How often it has tried so far.
  var attempts: Int { report.value.attempts }

  /// Ends it, and tells what it has seen.
  func stop() async -> Report {
    isStopped.value = true
    await eventually("the prober ends") { result.value != nil }
    return result.value ?? Report()
  }
}
