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
    case .swapping: everywhere + [(.serverKilled, 1)]
    }
  }

  /// How long after a swap of the roles the next one comes, in milliseconds; nil if the profile has none.
  func swapPause(inRunOf seconds: Double) -> Int? {
    self == .swapping ? min(20_000, Int(seconds * 250)) : nil
  }

  /// How long locks last; where two may overlap until the next extension, that comes long before the ttl ends.
  var timing: Timing {
    switch self {
    case .steady, .swapping, .tls: Timing(ttl: 1500, extend: 500, operationTimeout: 500)
    case .forgetful, .jumpy: Timing(ttl: 3000, extend: 400, operationTimeout: 400)
    }
  }

  /// How many locks are held briefly for each that is held for long.
  ///
  /// A forgotten lock must be held for long, so that the overlap is noticed.
  var shortHoldings: Int { self == .forgetful || self == .jumpy ? 60 : 400 }

  /// How the server is started; if it keeps its data, it writes them before it answers.
  var serverArguments: [String] {
    self == .forgetful ? [] : ["--appendonly", "yes", "--appendfsync", "always"]
  }

  /// The share of a run of all profiles.
  var share: Double { (self == .steady ? 2 : 1) / Double(Self.available.count + 1) }
}
