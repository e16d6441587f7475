import FaultProxy
import PrivateRedis

/// The servers of a run.
enum Stage {
  case single(RedisServer)
  case pair(ReplicatedPair)
  case trio(SentinelTrio)
  case cluster(PrivateCluster)
  case quorum(QuorumStage)

  /// Starts the servers of a profile that needs several; the seed decides how many, if there is a choice.
  ///
  /// - Throws: ``RedisError`` or a Foundation error.
  init?(_ profile: Profile, seed: UInt64) throws {
    let arguments = profile.serverArguments
    switch profile {
    case .steady, .forgetful, .jumpy, .tls: return nil
    case .swapping: self = .pair(try ReplicatedPair(arguments: arguments))
    case .sentinel: self = .trio(try SentinelTrio(arguments: arguments))
    // No election: it would forget what was not replicated.
    case .cluster:
      self = .cluster(try PrivateCluster(arguments: arguments, nodeTimeout: .seconds(60)))
    case .quorum:
      self = .quorum(try QuorumStage(seed.isMultiple(of: 2) ? 3 : 5, arguments: arguments))
    }
  }

  var servers: [RedisServer] {
    switch self {
    case .single(let server): [server]
    case .pair(let pair): pair.servers
    case .trio(let trio): trio.servers
    case .cluster(let cluster): cluster.servers
    case .quorum(let quorum): quorum.servers
    }
  }

  /// The server that has the keys of a profile to begin with.
  ///
  /// - Throws: ``RedisError``.
  func first(for profile: Profile) throws -> RedisServer {
    guard case .cluster(let cluster) = self else { return servers[0] }
    return servers[try cluster.owner(of: profile.keyPrefix) ?? 0]
  }

  /// How clients reach the servers, if there are several; those of a quorum are separated by spaces.
  var urls: [String] {
    switch self {
    case .single: []
    case .pair(let pair): [pair.url]
    case .trio(let trio): [trio.url(), trio.url([2, 1, 0])]
    case .cluster(let cluster):
      [cluster.url(), cluster.url([2, 1]), cluster.url([1], scheme: "redis")]
    case .quorum(let quorum): quorum.urls
    }
  }

  /// Ends the proxies of a quorum: behind a black hole, a server would wait for ever.
  func stopProxies() {
    if case .quorum(let quorum) = self { for proxy in quorum.proxies { proxy.stop() } }
  }

  func stop() {
    switch self {
    case .single(let server): server.stop()
    case .pair(let pair): pair.stop()
    case .trio(let trio): trio.stop()
    case .cluster(let cluster): cluster.stop()
    case .quorum(let quorum): quorum.stop()
    }
  }
}
