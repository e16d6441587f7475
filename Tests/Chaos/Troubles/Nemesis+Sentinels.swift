import ChaosLog
import PrivateRedis

extension Nemesis {
  /// Makes the sentinels choose another primary, and waits until all servers follow it; false if they are not ready.
  func replacePrimary(_ how: Trouble) throws -> Bool {
    guard case .trio(let trio) = stage, let old = try trio.primary(accordingTo: 0) else {
      return false
    }
    let start = LogClock.now
    switch how {
    case .primaryKilled: trio.servers[old].kill()
    case .primaryStopped: trio.servers[old].pause()
    default:
      do { try trio.failOver() } catch RedisError.server { return false }
    }
    try wait("another primary") { try trio.primary(accordingTo: 1).map { $0 != old } ?? false }
    switch how {
    case .primaryKilled: try trio.servers[old].restart()
    case .primaryStopped: trio.servers[old].resume()
    default: break
    }
    try wait("all to follow") {
      try trio.client(old)("ROLE").array?.first?.string == "slave" && trio.isComplete()
    }
    turn(to: trio.servers[try trio.primary(accordingTo: 0) ?? old])
    let now = LogClock.now
    log.note(Episode(.outage, from: start, to: now))
    // What was not replicated is gone, and for a moment two servers take writes.
    log.note(Episode(.forgetting, from: start, to: now))
    return true
  }

  func wait(_ what: String, until condition: () throws -> Bool) throws {
    let limit = LogClock.now + .milliseconds(60_000)
    while (try? condition()) != true {
      guard LogClock.now < limit else { throw RedisError.server("waited in vain for \(what)") }
      try rest(until: LogClock.now + .milliseconds(5))
    }
  }
}
