/// The faults that the nemesis can inject.
enum Trouble: String, Sendable, Hashable, Codable, CaseIterable {
  /// Stops the server for less than the ttl of the locks.
  case serverStoppedBriefly
  /// Stops the server for longer than the ttl.
  case serverStoppedForLong
  /// Kills the server, and starts it again after a moment with the data it has kept.
  case serverKilled
  /// Kills the server, and starts it again without data.
  case serverEmptied
  /// Makes the server answer no client, or no writing client, for a moment.
  case clientsPaused
  /// Hangs up on some clients.
  case connectionsKilled
  /// Hangs up on all clients.
  case allConnectionsKilled
  /// Makes the server forget its scripts.
  case scriptsFlushed
  /// Swaps the roles of the master and its replica, without losing a write.
  case mastersSwapped
  /// Stops some servers of a quorum, maybe all, for less or longer than the ttl.
  case serversStopped
  /// Kills a minority of a quorum, and starts it again without data.
  case minorityKilled
  /// Moves the slot of all keys to another master of the cluster.
  case slotMoved
  /// Asks a sentinel to make a replica the primary, though nothing is wrong.
  case primaryReplaced
  /// Kills the primary, and starts it again as soon as there is another.
  case primaryKilled
  /// Stops the primary, and lets it go on as soon as there is another.
  case primaryStopped
  /// Deletes everything.
  case keysFlushed
  /// Deletes the key of a lock.
  case keyDeleted
  /// Stops a client for less than the ttl.
  case clientStoppedBriefly
  /// Stops a client for longer than the ttl.
  case clientStoppedForLong
  /// Stops a client for longer than the ttl, between its check that it holds a lock and its action.
  case clientStoppedInWindow
  /// Kills a client, and starts another.
  case clientKilled
  /// Ends all connections through the proxy, in a random way.
  case proxyStruck
  /// Makes the proxy delay everything that passes.
  case proxySlow
  /// Makes the proxy refuse new connections for a while.
  case proxyRefusing
  /// Makes the proxy delay, drip, cut, duplicate and swallow messages.
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
      .slotMoved, .primaryReplaced, .primaryKilled, .primaryStopped, .keysFlushed, .keyDeleted,
      .clockSetForward, .clockSetBack:
      true
    case .clientStoppedBriefly, .clientStoppedForLong, .clientStoppedInWindow, .clientKilled,
      .proxyStruck, .proxySlow, .proxyRefusing, .proxyGarbling, .serversStopped, .minorityKilled:
      false
    }
  }
}
