import ChaosLog
import FaultProxy
import Foundation
import PrivateRedis

extension Nemesis {
  /// Stops the server for some milliseconds.
  func stopServer(for milliseconds: Int) {
    let start = LogClock.now
    server.pause()
    repair(after: milliseconds, concernsServer: true) { [self] in
      server.resume()
      log.note(Episode(.outage, from: start, to: LogClock.now))
    }
  }

  /// Kills the server, and starts it again after up to a second.
  func killServer(isEmptied: Bool) {
    let start = LogClock.now
    server.kill()
    repair(after: draw(0...1000), concernsServer: true) { [self] in
      try server.restart()
      try waitUntilServed()
      let now = LogClock.now
      log.note(Episode(.outage, from: start, to: now))
      if isEmptied { log.note(Episode(.forgetting, from: start, to: now)) }
    }
  }

  /// Swaps the roles of the master and its replica; false while the replica does not follow the master.
  func swapMasters() throws -> Bool {
    if case .cluster(let cluster) = stage { return try swapMasters(of: cluster) }
    guard case .pair(let servers) = stage, servers.isInStep else { return false }
    let start = LogClock.now
    guard try servers.beginFailover() else { return false }
    let limit = start + .milliseconds(30_000)
    while !servers.hasFailedOver {
      guard LogClock.now < limit else { throw RedisError.server("the roles were not swapped") }
      Thread.sleep(forTimeInterval: 0.001)
    }
    turn(to: servers.master)
    log.note(Episode(.outage, from: start, to: LogClock.now))
    return true
  }

  /// Makes the server answer no client, or no writing client, for some milliseconds.
  func pauseClients(for milliseconds: Int) throws {
    let start = LogClock.now
    let whom = Bool.random(using: &generator) ? "ALL" : "WRITE"
    try client("CLIENT", "PAUSE", "\(milliseconds)", whom)
    repair(after: milliseconds, concernsServer: true) { [self] in
      log.note(Episode(.outage, from: start, to: LogClock.now))
    }
  }

  /// Hangs up on some clients.
  func killConnections(_ count: Int) throws {
    let list = try client("CLIENT", "LIST").string?.split(separator: "\n") ?? []
    let ids = list.filter { $0.contains("name=async-redis-lock") }.compactMap { line in
      line.split(separator: " ").first { $0.hasPrefix("id=") }?.dropFirst(3)
    }
    for id in ids.shuffled(using: &generator).prefix(count) {
      // The client may have hung up itself meanwhile.
      _ = try? client("CLIENT", "KILL", "ID", String(id))
    }
  }

  /// Makes the server forget something.
  func forget(_ action: () throws -> Void) throws {
    let start = LogClock.now
    try action()
    log.note(Episode(.forgetting, from: start, to: LogClock.now))
  }

  /// Sets the server's clock forward for good.
  func setClockForward() throws {
    guard let clock else { return }
    try forget { try clock.set(offset: clock.offset + draw(1...60)) }
  }

  /// Sets the server's clock back for up to two seconds; locks last longer meanwhile.
  func setClockBack() throws {
    guard let clock else { return }
    let start = LogClock.now
    let offset = clock.offset
    try forget { try clock.set(offset: offset - draw(1...60)) }
    repair(after: draw(100...2000), concernsServer: true) { [self] in
      try forget { try clock.set(offset: offset) }
      log.note(Episode(.outage, from: start, to: LogClock.now))
    }
  }
}
