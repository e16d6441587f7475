import ChaosLog
import FaultProxy
import Foundation
import PrivateRedis

/// Breaks things one after another, and repairs them again.
final class Nemesis {
  /// Something to repair later.
  struct Repair {
    let due: UInt64
    let concernsServer: Bool
    let action: () throws -> Void
  }

  let stage: Stage
  private(set) var server: RedisServer
  private(set) var client: RedisClient
  private(set) var proxy: FaultProxy?
  let crew: Crew
  let log: ChaosLog
  let profile: Profile
  let clock: ClockShim?
  var generator: SplitMix
  var repairs: [Repair] = []
  /// How often each trouble was injected.
  private(set) var counts: [Trouble: Int] = [:]

  /// Prepares to break a server and its clients, as far as they are given.
  init(
    _ profile: Profile, server: RedisServer, on stage: Stage, proxy: FaultProxy?, crew: Crew,
    log: ChaosLog, clock: ClockShim?, seed: UInt64
  ) {
    self.profile = profile
    self.server = server
    self.stage = stage
    self.proxy = proxy
    self.crew = crew
    self.log = log
    self.clock = clock
    client = RedisClient(server)
    generator = SplitMix(seed: seed)
  }

  /// Breaks things up to the instant, and then repairs everything.
  ///
  /// - Throws: ``RedisError`` or a Foundation error when something cannot be repaired.
  func rage(until end: UInt64) throws {
    let changePause = Profile.changePause(inRunOf: (end - LogClock.now).inSeconds)
    // Every run needs some of these, and one may meet a server that is too slow for the next holder.
    while counts[.clientStoppedInWindow, default: 0] < 2, LogClock.now < end {
      try inject(.clientStoppedInWindow)
    }
    var changes = profile.changes[...]
    var nextChange = LogClock.now + .milliseconds(changePause)
    while LogClock.now < end {
      if let change = changes.first, LogClock.now >= nextChange {
        if try inject(change) {
          nextChange = LogClock.now + .milliseconds(changePause)
          changes = changes.dropFirst()
          if changes.isEmpty { changes = profile.changes[...] }
        }
      } else {
        try inject(draw())
      }
      try rest(until: min(end, LogClock.now + .milliseconds(draw(30...500))))
    }
    // A repair may lead to another.
    while !repairs.isEmpty {
      let due = repairs.sorted { $0.due < $1.due }
      repairs = []
      for repair in due { try repair.action() }
    }
  }

  /// A random number.
  func draw(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }

  /// Schedules a repair after some milliseconds.
  func repair(
    after milliseconds: Int, concernsServer: Bool, _ action: @escaping () throws -> Void
  ) {
    repairs.append(
      Repair(
        due: LogClock.now + .milliseconds(milliseconds), concernsServer: concernsServer,
        action: action))
  }

  private func draw() -> Trouble {
    let weights = profile.weights.filter { clock != nil || !$0.0.concernsClock }
    var number = draw(0...weights.reduce(-1) { $0 + $1.1 })
    for (trouble, weight) in weights {
      number -= weight
      if number < 0 { return trouble }
    }
    return .scriptsFlushed
  }

  /// Injects a trouble; false if it has to wait.
  @discardableResult
  private func inject(_ trouble: Trouble) throws -> Bool {
    // The server has only one fault at a time.
    if trouble.concernsServer, repairs.contains(where: \.concernsServer) { return false }
    guard aim() else { return false }
    guard try isInjected(trouble) else { return false }
    counts[trouble, default: 0] += 1
    return true
  }

  /// Switches to another server, and to the proxy before it.
  func turn(to server: RedisServer, behind proxy: FaultProxy? = nil) {
    self.server = server
    self.proxy = proxy
    client = RedisClient(server)
  }

  /// Injects a trouble; false if there was nothing to break.
  private func isInjected(_ trouble: Trouble) throws -> Bool {
    switch trouble {
    case .serverStoppedBriefly: stopServer(for: draw(30...profile.timing.ttl / 2))
    case .serverStoppedForLong:
      stopServer(for: profile.timing.ttl + draw(100...1000))
    case .serverKilled: killServer(isEmptied: false)
    case .serverEmptied: killServer(isEmptied: true)
    case .clientsPaused: try pauseClients(for: draw(50...800))
    case .connectionsKilled: try killConnections(draw(1...3))
    case .allConnectionsKilled: try killConnections(.max)
    case .scriptsFlushed: try client("SCRIPT", "FLUSH")
    case .mastersSwapped: return try swapMasters()
    case .slotMoved: return try moveSlot()
    case .serversStopped: return stopServers()
    case .minorityKilled: return killMinority()
    case .primaryReplaced, .primaryKilled, .primaryStopped: return try replacePrimary(trouble)
    case .keysFlushed: try forget { try client("FLUSHALL") }
    case .keyDeleted:
      try forget { try client("DEL", "\(profile.keyPrefix)\(draw(0...Soak.keys - 1))") }
    case .clientStoppedBriefly: return stopClient(for: draw(30...profile.timing.ttl / 2))
    case .clientStoppedForLong: return stopClient(for: profile.timing.ttl + draw(200...1500))
    case .clientStoppedInWindow: return stopClientInWindow()
    case .clientKilled: return try killClient()
    case .proxyStruck: strikeProxy()
    case .proxySlow: slowDownAtProxy()
    case .proxyRefusing: refuseAtProxy()
    case .proxyGarbling: garbleAtProxy()
    case .clockSetForward: try setClockForward()
    case .clockSetBack: try setClockBack()
    }
    return true
  }

  /// Repairs what is due, up to the instant.
  func rest(until end: UInt64) throws {
    repeat {
      let now = LogClock.now
      let due = repairs.filter { $0.due <= now }.sorted { $0.due < $1.due }
      repairs.removeAll { $0.due <= now }
      for repair in due { try repair.action() }
      Thread.sleep(forTimeInterval: 0.002)
    } while LogClock.now < end
  }
}

extension Trouble {
  fileprivate var concernsClock: Bool { self == .clockSetForward || self == .clockSetBack }
}
