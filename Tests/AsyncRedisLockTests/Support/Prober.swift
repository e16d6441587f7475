import Foundation
import PrivateRedis
import Testing

/// Tries to take a key by `SET NX` all the time, on a thread of its own, like a client that does not know the
/// queue.
final class Prober: Sendable {
  /// The observations of a prober.
  struct Report: Sendable {
    var attempts = 0
    var successes = 0
    /// The error that has ended it.
    var failure: String?
  }

  private let isStopped = Shared(false)
  private let report = Shared(Report())
  private let result = Shared<Report?>(nil)

  /// Starts to try; a key that it takes is given back at once.
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

  /// Ends the prober, and returns its observations.
  func stop() async -> Report {
    isStopped.value = true
    await eventually("the prober ends") { result.value != nil }
    return result.value ?? Report()
  }
}
