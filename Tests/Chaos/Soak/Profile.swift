/// The troubles a run may have, and so the promises that its locks must keep.
enum Profile: String, Sendable, Codable, CaseIterable {
  /// The server keeps its data: holders never overlap.
  case steady
  /// The server forgets: two holders may overlap until the next extension.
  case forgetful
  /// The server keeps its data, but its clock jumps: two holders may overlap as well.
  case jumpy
  /// The master and its replica swap roles without losing a write: holders never overlap.
  case swapping
  /// As `steady`, with all connections encrypted.
  case tls
  /// Sentinels choose another primary, which lacks what was not replicated: two holders may overlap until the next
  /// extension.
  case sentinel
  /// In a cluster that loses no write, slots move and replicas take over: holders never overlap.
  case cluster
  /// A majority of servers decides, which forget everything when they are restarted: holders never overlap.
  case quorum

  /// Those that this build can run.
  static var available: [Self] {
    #if TLS
      allCases
    #else
      allCases.filter { $0 != .tls }
    #endif
  }

  /// How often each trouble is drawn, in relation to the others.
  var weights: [(Trouble, Int)] {
    let everywhere: [(Trouble, Int)] = [
      (.clientStoppedInWindow, 2), (.clientStoppedForLong, 1), (.clientStoppedBriefly, 3),
      (.clientKilled, 3), (.serverStoppedBriefly, 2), (.connectionsKilled, 3),
      (.allConnectionsKilled, 2), (.scriptsFlushed, 2), (.clientsPaused, 2),
    ]
    return switch self {
    case .steady, .tls:
      everywhere + [
        (.serverStoppedForLong, 1), (.serverKilled, 3), (.proxyStruck, 4), (.proxyRefusing, 2),
        (.proxyGarbling, 4), (.proxySlow, 4),
      ]
    case .forgetful: everywhere + [(.serverEmptied, 6), (.keysFlushed, 6), (.keyDeleted, 6)]
    case .jumpy: everywhere + [(.clockSetForward, 6), (.clockSetBack, 6), (.serverKilled, 2)]
    case .swapping, .cluster: everywhere + [(.serverKilled, 1)]
    // Sentinels would take a server that is silent for half a second for one that is down.
    case .sentinel: everywhere.filter { ![.serverStoppedBriefly, .clientsPaused].contains($0.0) }
    case .quorum:
      everywhere.filter { ![.serverStoppedBriefly, .clientsPaused].contains($0.0) } + [
        (.serversStopped, 4), (.proxyStruck, 4), (.proxyRefusing, 2), (.proxySlow, 4),
      ]
    }
  }

  /// The ways in which another server becomes the primary, or some of a quorum forget, one after the other.
  var changes: [Trouble] {
    switch self {
    case .swapping: [.mastersSwapped]
    case .cluster: [.slotMoved, .mastersSwapped]
    case .quorum: [.minorityKilled]
    case .sentinel: [.primaryKilled, .primaryStopped, .primaryReplaced]
    case .steady, .forgetful, .jumpy, .tls: []
    }
  }

  /// How long after a change of the primary the next one comes, in milliseconds.
  static func changePause(inRunOf seconds: Double) -> Int { min(20_000, Int(seconds * 250)) }

  /// How long locks last; where two may overlap until the next extension, that comes long before the ttl ends.
  var timing: Timing {
    switch self {
    case .steady, .swapping, .tls, .cluster, .quorum:
      Timing(ttl: 1500, extend: 500, operationTimeout: 500)
    case .forgetful, .jumpy, .sentinel: Timing(ttl: 3000, extend: 400, operationTimeout: 400)
    }
  }

  /// How many locks are held briefly for each that is held for long.
  ///
  /// A forgotten lock must be held for long, so that the overlap is noticed.
  var shortHoldings: Int { [.forgetful, .jumpy, .sentinel].contains(self) ? 60 : 400 }

  /// What the names of the keys begin with; in a cluster, they are all in one slot, since some locks have two.
  var keyPrefix: String { self == .cluster ? "{chaos}-" : "chaos-" }

  /// How the server is started; if it keeps its data, it writes them before it answers.
  var serverArguments: [String] {
    switch self {
    case .forgetful, .quorum: []
    // As Operations.md advises.
    case .sentinel: ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "10"]
    case .steady, .jumpy, .swapping, .tls, .cluster:
      ["--appendonly", "yes", "--appendfsync", "always"]
    }
  }

  /// The share of a run of all profiles.
  var share: Double { (self == .steady ? 2 : 1) / Double(Self.available.count + 1) }
}
