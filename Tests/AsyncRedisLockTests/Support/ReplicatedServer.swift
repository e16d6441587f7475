import AsyncRedisLock
import Foundation
import PrivateRedis
import Testing

/// A primary and replicas that follow it over links which a test can cut.
final class ReplicatedServer: Sendable {
  let primary: RedisServer
  let replicas: [RedisServer]
  let links: [ReplicationLink]

  /// Starts all, and returns when the replicas acknowledge what they get.
  ///
  /// - Throws: ``RedisError`` or `POSIXError`.
  init(replicas count: Int, arguments: [String] = []) async throws {
    let arguments = arguments + ["--repl-diskless-sync-delay", "0"]
    (primary, replicas, links) = try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(
          with: Result {
            let primary = try RedisServer(arguments: arguments, listen: .tcp)
            let links = try (0..<count).map { _ in try ReplicationLink(to: primary.port ?? 0) }
            let replicas = try links.map {
              try RedisServer(arguments: arguments + ["--replicaof", "127.0.0.1", $0.port])
            }
            return (primary, replicas, links)
          })
      }
    }
    // A replica calls itself connected up to a second before the primary counts it.
    await eventually(within: .seconds(20), "the replicas are in step") {
      let client = RedisClient(primary)
      _ = try client("SET", "in-step", "1", "PX", "1")
      return try client("WAIT", "\(count)", "100").integer == count
    }
  }

  deinit { stop() }

  func stop() {
    for link in links { link.stop() }
    for server in replicas + [primary] { server.stop() }
  }

  /// Makes a locker of the primary whose locks need so many replicas.
  func locker(
    _ acknowledgements: Int, timeout: Duration = .seconds(10), at url: String? = nil,
    _ configure: (inout LockerConfiguration) -> Void = { _ in }
  ) async throws -> Locker {
    try await Locker(url: url ?? primary.url) {
      $0.replicaAcknowledgements = acknowledgements
      $0.operationTimeout = timeout
      configure(&$0)
    }
  }
}
