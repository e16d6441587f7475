import AsyncRedisLock
import ChaosLog

/// What a worker process is to do.
struct WorkerOrder: Codable, Sendable {
  /// The path of the log.
  var log: String
  /// The server, or the proxy in front of it.
  var url: String
  /// Which of the workers this is.
  var lane: Int
  /// What the worker's random numbers grow from.
  var seed: UInt64
  /// How many tasks contend.
  var tasks: Int
  /// How many keys there are.
  var keys: Int
  /// How many locks are held for a moment for one that is held for long.
  var shortHoldings: Int
  /// How long the locks last, and how long the server may take.
  var timing: Timing

  /// The options of most locks.
  func options(timeout: Duration?) -> LockOptions {
    LockOptions(
      timeout: timeout, ttl: .milliseconds(timing.ttl), extend: .milliseconds(timing.extend))
  }

  /// How the worker reaches the server; the workers differ in how often they pass locks on inside.
  func configuration() throws -> LockerConfiguration {
    var configuration = try LockerConfiguration(url: url)
    configuration.connectTimeout = .milliseconds(timing.operationTimeout)
    configuration.operationTimeout = .milliseconds(timing.operationTimeout)
    configuration.localHandoffLimit = [15, 0, 3][lane % 3]
    configuration.label = "lane-\(lane)"
    return configuration
  }
}
