import ChaosLog
import FaultProxy
import Foundation
import PrivateRedis

/// Processes that contend for locks while everything around them breaks, and the check of their records.
struct Soak {
  /// How many keys there are.
  static let keys = 3
  /// How many processes contend, and how many tasks in each.
  private static let (processes, tasks) = (5, 6)
  /// More records than are ever needed: holders think for some milliseconds.
  private static let recordsPerSecond = 10_000

  let profile: Profile
  let seed: UInt64
  /// The total length in seconds, without the end.
  let seconds: Double

  /// Runs the profile.
  ///
  /// - Throws: ``RedisError`` or a Foundation error if the profile cannot be run.
  func run() throws -> Summary {
    let clock = profile == .jumpy && ClockShim.isAvailable ? try ClockShim() : nil
    let several = try Stage(profile, seed: seed)
    defer { several?.stop() }
    let certificates = profile == .tls ? try Certificates() : nil
    defer { withExtendedLifetime(certificates) {} }
    let encrypted = try certificates.map { certificates in
      try TLSServer(
        certificates.make("server", names: ["IP:127.0.0.1"]), authority: certificates.authority,
        arguments: profile.serverArguments)
    }
    let server =
      try several?.first(for: profile) ?? encrypted?.plain
      ?? RedisServer(
        arguments: profile.serverArguments, listen: .tcp, environment: clock?.environment ?? [:])
    defer { server.stop() }
    if profile == .jumpy, clock == nil {
      print("The server's clock is not set: that takes Linux and a C compiler.")
    }
    let proxy =
      several == nil ? try FaultProxy(to: server, port: encrypted?.port, isRecording: false) : nil
    let plainURLs = several?.urls ?? [proxy?.url ?? server.url, server.url]
    let urls =
      if let encrypted, let certificates {
        plainURLs.map { Self.encrypted($0, encrypted, certificates) }
      } else {
        plainURLs
      }
    let stage = several ?? .single(server)
    let path = server.directory + "/chaos.log"
    let log = try ChaosLog(
      creating: path, capacity: Int(seconds + 30) * Self.recordsPerSecond)
    let order = WorkerOrder(
      log: path, url: server.url, lane: 0, seed: seed, tasks: Self.tasks, keys: Self.keys,
      keyPrefix: profile.keyPrefix, shortHoldings: profile.shortHoldings, timing: profile.timing)
    let crew = try Crew(
      Self.processes, order, urls: urls, folder: server.directory, log)
    let nemesis = Nemesis(
      profile, server: server, on: stage, proxy: proxy, crew: crew, log: log, clock: clock,
      seed: seed)

    let start = LogClock.now
    let rageTime = max(seconds - quietTime, 3)
    try nemesis.rage(until: start + UInt64(rageTime * 1e9))
    // Once everything is repaired, all workers must get back to work.
    Thread.sleep(forTimeInterval: quietTime)
    var findings = crew.complaints
    if log.isFull { findings.append(Finding(.harness, "The log was too small.")) }
    log.announceEnd()
    findings += crew.waitForEnd(within: .milliseconds(45_000))
    // Behind a black hole, the server would wait for ever.
    proxy?.stop()
    stage.stopProxies()
    findings += leftBehind(stage.servers)

    let history = log.history
    let checker = Checker(history, profile.timing.limits)
    findings += checker.findings + checker.blindnessFindings
    return Summary(
      profile, seed: seed, seconds: rageTime, history, troubles: nemesis.counts, findings)
  }

  /// The URL of the proxy or the server for connections that are encrypted.
  private static func encrypted(
    _ url: String, _ server: TLSServer, _ certificates: Certificates
  ) -> String {
    let address = url.hasPrefix("unix:") ? "rediss://127.0.0.1:\(server.port)" : url
    return address.replacing("redis://", with: "rediss://")
      + "?cacert=\(certificates.authority.certificate)"
  }

  private var quietTime: Double { Double(profile.timing.ttl) / 1000 + 1.5 }

  /// The keys, channels and connections left once all clients are gone and the locks of killed clients have expired.
  private func leftBehind(_ servers: [RedisServer]) -> [Finding] {
    let clients = servers.map { RedisClient($0) }
    let end = LogClock.now + .milliseconds(30_000)
    while true {
      let left = (try? clients.flatMap(remains)) ?? ["no answer"]
      if left.isEmpty { return [] }
      if LogClock.now > end {
        return [Finding(.leftBehind, "On the server: \(left.joined(separator: ", "))")]
      }
      Thread.sleep(forTimeInterval: 0.05)
    }
  }

  private func remains(_ client: RedisClient) throws -> [String] {
    let keys = try client("KEYS", "*").array?.compactMap(\.string) ?? []
    let channels = try client("PUBSUB", "CHANNELS").array?.compactMap(\.string) ?? []
    let clients = try client("CLIENT", "LIST").string?.split(separator: "\n") ?? []
    let left = try keys.filter { try !isCounter($0, client) } + shardChannels(client)
    // Sentinels listen on a channel of each server.
    return left + channels.filter { $0 != "__sentinel__:hello" }
      + clients.filter { $0.contains("name=async-redis-lock") }.map(String.init)
  }

  /// Whether a key is the fence counter, which stays; in a cluster, it has to be in the slot of all locks.
  private func isCounter(_ key: String, _ client: RedisClient) throws -> Bool {
    guard profile == .cluster else { return key == "redis-lock:fence" }
    return try key.hasPrefix("redis-lock:fence:{")
      && client("CLUSTER", "KEYSLOT", key) == client("CLUSTER", "KEYSLOT", profile.keyPrefix)
  }

  private func shardChannels(_ client: RedisClient) throws -> [String] {
    guard profile == .cluster else { return [] }
    do {
      return try client("PUBSUB", "SHARDCHANNELS").array?.compactMap(\.string) ?? []
    } catch RedisError.server {
      return []  // Redis 6.2 has none.
    }
  }
}
