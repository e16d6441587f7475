import AsyncRedisLock
import ChaosLog

/// The instructions for a worker process.
struct WorkerOrder: Codable, Sendable {
  /// The path of the log.
  var log: String
  /// The server, or the proxy in front of it; those of a quorum are separated by spaces.
  var url: String
  /// Which of the workers this is.
  var lane: Int
  /// The seed of the worker's random numbers.
  var seed: UInt64
  /// How many tasks contend.
  var tasks: Int
  /// How many keys there are.
  var keys: Int
  /// What their names begin with.
  var keyPrefix: String
  /// How many locks are held briefly for each that is held for long.
  var shortHoldings: Int
  /// How long the locks last, and how long the server may take.
  var timing: Timing

  /// The options of most locks.
  func options(timeout: Duration?) -> LockOptions {
    LockOptions(
      timeout: timeout, ttl: .milliseconds(timing.ttl), extend: .milliseconds(timing.extend))
  }

  /// Connects to the server, or to those of a quorum.
  func locker() async throws -> Locker {
    let servers = try url.split(separator: " ").map { try configuration(String($0)) }
    guard servers.count > 1 else { return try await Locker(configuration: servers[0]) }
    return try await Locker(quorum: servers, restartDelay: QuorumStage.restartDelay)
  }

  /// How the worker reaches a server; the workers differ in how often they hand locks on inside the process.
  private func configuration(_ url: String) throws -> LockerConfiguration {
    var configuration = try LockerConfiguration(url: url)
    configuration.connectTimeout = .milliseconds(timing.operationTimeout)
    configuration.operationTimeout = .milliseconds(timing.operationTimeout)
    configuration.localHandoffLimit = [15, 0, 3][lane % 3]
    // No ttl may be longer than the restart delay of a quorum.
    configuration.lockOptions = options(timeout: nil)
    configuration.label = "lane-\(lane)"
    return configuration
  }
}
