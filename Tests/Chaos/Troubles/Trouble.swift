/// What the nemesis can do.
enum Trouble: String, Sendable, Hashable, Codable, CaseIterable {
  /// Stops the server for less than the ttl of the locks.
  case serverStoppedBriefly
  /// Stops the server for longer than that.
  case serverStoppedForLong
  /// Kills the server, and starts it again after a moment, with what it has kept.
  case serverKilled
  /// Kills the server, and starts it again with nothing.
  case serverEmptied
  /// Lets the server answer nobody, or no writers, for a moment.
  case clientsPaused
  /// Hangs up on some clients.
  case connectionsKilled
  /// Hangs up on all clients.
  case allConnectionsKilled
  /// Makes the server forget its scripts.
  case scriptsFlushed
  /// Swaps the roles of the master and its replica, without losing a write.
  case mastersSwapped
  /// Deletes everything.
  case keysFlushed
  /// Deletes the key of a lock.
  case keyDeleted
  /// Stops a client for less than the ttl.
  case clientStoppedBriefly
  /// Stops a client for longer than that.
  case clientStoppedForLong
  /// The same, between its checking that it holds a lock and its doing something about it.
  case clientStoppedInWindow
  /// Kills a client, and starts another.
  case clientKilled
  /// Ends all connections through the proxy, in some way.
  case proxyStruck
  /// Has the proxy delay all that passes.
  case proxySlow
  /// Has the proxy accept nobody for a while.
  case proxyRefusing
  /// Has the proxy delay, drip, cut, duplicate and swallow what passes.
  case proxyGarbling
  /// Sets the server's clock forward.
  case clockSetForward
  /// Sets the server's clock back for a while.
  case clockSetBack

  /// Whether the server cannot be used while it lasts.
  var concernsServer: Bool {
    switch self {
    case .serverStoppedBriefly, .serverStoppedForLong, .serverKilled, .serverEmptied,
      .clientsPaused, .connectionsKilled, .allConnectionsKilled, .scriptsFlushed, .mastersSwapped,
      .keysFlushed, .keyDeleted, .clockSetForward, .clockSetBack:
      true
    case .clientStoppedBriefly, .clientStoppedForLong, .clientStoppedInWindow, .clientKilled,
      .proxyStruck, .proxySlow, .proxyRefusing, .proxyGarbling:
      false
    }
  }
}
