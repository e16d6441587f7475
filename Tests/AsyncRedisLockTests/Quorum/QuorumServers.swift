import AsyncRedisLock
import Foundation
import PrivateRedis
import Testing

/// The servers of a quorum that belong to a test.
final class QuorumServers: Sendable {
  let servers: [RedisServer]

  init(_ count: Int = 3, environment: [[String: String]] = []) throws {
    servers = try (0..<count).map { index in
      try RedisServer(environment: index < environment.count ? environment[index] : [:])
    }
  }

  func stop() { for server in servers { server.stop() } }

  /// The configurations of lockers; `urls` may lead some of the connections elsewhere.
  func configurations(
    through urls: [Int: String] = [:], _ change: (inout LockerConfiguration) -> Void = { _ in }
  ) throws -> [LockerConfiguration] {
    try servers.enumerated().map { index, server in
      var configuration = try LockerConfiguration(url: urls[index] ?? server.url)
      change(&configuration)
      return configuration
    }
  }

  /// Makes a locker of all servers; by default, of servers that are said to keep their data.
  func locker(
    restartDelay: Duration = .zero, through urls: [Int: String] = [:],
    _ change: (inout LockerConfiguration) -> Void = { _ in }
  ) async throws -> Locker {
    try await Locker(
      quorum: try configurations(through: urls, change), restartDelay: restartDelay)
  }

  /// The values of a key on all servers; nil where it is free.
  func values(of key: String) throws -> [String?] {
    try servers.map { try RedisClient($0)("GET", key).string }
  }

  /// Waits until no server has a key.
  func expectFree(
    _ key: String, within limit: Duration = .seconds(10),
    sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    await eventually(
      within: limit, "no server has the key", sourceLocation: sourceLocation
    ) { try values(of: key).allSatisfy { $0 == nil } }
  }
}
