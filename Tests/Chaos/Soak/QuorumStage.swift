import FaultProxy
import Foundation
import PrivateRedis

/// The servers of a quorum, a proxy before each of them, and what is wrong with them.
final class QuorumStage {
  /// How long a restarted server gets no new locks: longer than any ttl of the workers.
  static let restartDelay = Duration.seconds(4)

  let servers: [RedisServer]
  let proxies: [FaultProxy]
  /// The servers that do not run just now.
  var stopped: Set<Int> = []
  /// The servers that are killed and have not been started again.
  var dead: Set<Int> = []
  /// While a minority is about to forget, or gets no new locks, no other servers are troubled.
  ///
  /// A lock has no vote of a server that was away when it was taken, and must not lose others.
  var minority: Set<Int>?

  /// Starts the servers, and waits until they get new locks.
  ///
  /// - Throws: ``RedisError`` or a Foundation error.
  init(_ count: Int, arguments: [String]) throws {
    servers = try (0..<count).map { _ in try RedisServer(arguments: arguments, listen: .tcp) }
    proxies = try servers.map { try FaultProxy(to: $0, isRecording: false) }
    Thread.sleep(forTimeInterval: Double(Self.patience) / 1000)
  }

  /// How long after its start a server gets new locks, in milliseconds: it counts its uptime in whole seconds.
  static var patience: Int { Int(restartDelay / .milliseconds(1)) + 1000 }

  /// How many servers may be away while the others can decide.
  var minorityCount: Int { (servers.count - 1) / 2 }

  /// Those that answer, and may be troubled.
  var choice: [Int] {
    servers.indices.filter { number in
      !stopped.contains(number) && !dead.contains(number) && minority?.contains(number) != false
    }
  }

  /// The ways of the workers: through the proxies, and without them.
  var urls: [String] {
    [proxies.map(\.url), servers.map(\.url)].map { $0.joined(separator: " ") }
  }

  func stop() {
    for proxy in proxies { proxy.stop() }
    for server in servers { server.stop() }
  }
}
