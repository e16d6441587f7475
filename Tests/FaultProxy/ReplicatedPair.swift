import Foundation
package import PrivateRedis

/// Two servers, one of which replicates the other, and an address that leads to the master.
///
/// The address works like a DNS name or a virtual address. Swapping the roles leads new connections to the new
/// master, and cuts none of the existing ones.
package final class ReplicatedPair {
  package let servers: [RedisServer]
  private let proxies: [FaultProxy]
  private let address: String
  /// The number of the server that is the master or is about to become it.
  package private(set) var masterNumber = 0

  /// Starts two servers; the second begins to follow the first.
  ///
  /// - Throws: ``RedisError``, `POSIXError` or a Foundation error.
  package init(arguments: [String] = []) throws {
    let arguments = arguments + ["--repl-diskless-sync-delay", "0"]
    servers = try (0..<2).map { _ in try RedisServer(arguments: arguments, listen: .tcp) }
    proxies = try servers.map { try FaultProxy(to: $0, .unixSocket, isRecording: false) }
    address = servers[0].directory + "/current"
    try lead(to: 0)
    try client(1)("REPLICAOF", "127.0.0.1", "\(servers[0].port ?? 0)")
  }

  deinit { stop() }

  /// The address that leads to the master.
  package var url: String { "unix://\(address)" }

  package var master: RedisServer { servers[masterNumber] }

  /// Whether the replica has all the data of the master, also on its disk if it keeps a log there.
  package var isInStep: Bool {
    let replica = client(1 - masterNumber)
    let role = (try? replica("ROLE").array) ?? []
    let persistence = (try? replica("INFO", "persistence").string) ?? ""
    // After a full synchronization, a log counts only once it has been rewritten.
    return role.count == 5 && role[3].string == "connected"
      && persistence.contains("aof_rewrite_in_progress:0")
      && persistence.contains("aof_rewrite_scheduled:0")
  }

  /// Whether the designated server has become the master.
  package var hasFailedOver: Bool {
    (try? client(masterNumber)("ROLE").array?.first?.string) == "master"
  }

  /// Directs new connections to a server.
  ///
  /// - Throws: A Foundation error.
  package func lead(to number: Int) throws {
    let next = address + ".next"
    try FileManager.default.createSymbolicLink(
      atPath: next, withDestinationPath: String(proxies[number].url.trimmingPrefix("unix://")))
    guard unsafe rename(next, address) == 0 else {
      throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
    }
  }

  /// Begins to swap the roles without losing a write; false if the master does not accept the replica yet.
  ///
  /// - Throws: ``RedisError`` or a Foundation error.
  package func beginFailover() throws -> Bool {
    let next = 1 - masterNumber
    try lead(to: next)
    do {
      try client(masterNumber)("FAILOVER", "TO", "127.0.0.1", "\(servers[next].port ?? 0)")
    } catch RedisError.server {
      try lead(to: masterNumber)
      return false
    }
    masterNumber = next
    return true
  }

  /// Hangs up on all clients, and ends both servers.
  package func stop() {
    for proxy in proxies { proxy.stop() }
    for server in servers { server.stop() }
  }

  private func client(_ number: Int) -> RedisClient { RedisClient(servers[number]) }
}
