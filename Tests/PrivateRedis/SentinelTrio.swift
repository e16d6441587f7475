import Foundation

/// A master with two replicas, and three sentinels that watch over them, all at free ports of 127.0.0.1.
///
/// Every method may block its thread; starting may take up to 30 s.
public final class SentinelTrio: Sendable {
  /// The name by which the sentinels know the primary.
  public static let primaryName = "locks"

  /// The servers; the first begins as the master.
  public let servers: [RedisServer]
  /// The sentinels, which agree by two.
  public let sentinels: [SentinelServer]
  private let sentinelPassword: String?
  private let password: String?
  private static let patience = Duration.seconds(30)

  /// Starts all, and returns when the sentinels know each other and both replicas.
  ///
  /// - Parameters:
  ///   - arguments: Further arguments of the servers.
  ///   - password: The password of the servers.
  ///   - sentinelPassword: The password of the sentinels.
  ///   - downAfter: How long a server has to be silent before a sentinel counts it as down.
  /// - Throws: ``RedisError``.
  public init(
    arguments: [String] = [], password: String? = nil, sentinelPassword: String? = nil,
    downAfter: Duration = .milliseconds(500)
  ) throws {
    self.sentinelPassword = sentinelPassword
    self.password = password
    let arguments =
      arguments + ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]
      + (password.map { ["--requirepass", $0, "--masterauth", $0] } ?? [])
    let master = try RedisServer(arguments: arguments, listen: .tcp)
    let port = master.port ?? 0
    servers =
      try [master]
      + (0..<2).map { _ in
        try RedisServer(
          arguments: arguments + ["--replicaof", "127.0.0.1", "\(port)"], listen: .tcp)
      }
    let name = Self.primaryName
    let configuration =
      [
        "sentinel monitor \(name) 127.0.0.1 \(port) 2",
        "sentinel down-after-milliseconds \(name) \(Int(downAfter / .milliseconds(1)))",
        "sentinel failover-timeout \(name) 3000", "sentinel parallel-syncs \(name) 2",
      ] + (password.map { ["sentinel auth-pass \(name) \($0)"] } ?? [])
    let servers = servers
    try Self.wait("the replicas to be in step") {
      try servers.dropFirst().allSatisfy {
        try Self.client(of: $0, password)("ROLE").array?[3].string == "connected"
      }
    }
    sentinels = try (0..<3).map { _ in
      try SentinelServer(configuration: configuration, password: sentinelPassword)
    }
    try Self.wait("the sentinels to know each other") { try isComplete() }
  }

  deinit { stop() }

  /// The URL by which the library finds the master; `order` tells which sentinels it names, and in which order.
  public func url(_ order: [Int] = [0, 1, 2], query: String = "") -> String {
    let hosts = order.map { "127.0.0.1:\(sentinels[$0].port)" }.joined(separator: ",")
    let login = password.map { ":\($0)@" } ?? ""
    let queries =
      (sentinelPassword.map { ["sentinel_password=\($0)"] } ?? []) + (query.isEmpty ? [] : [query])
    return "redis+sentinel://\(login)\(hosts)/\(Self.primaryName)"
      + (queries.isEmpty ? "" : "?" + queries.joined(separator: "&"))
  }

  /// A client of a server that has logged in.
  ///
  /// - Throws: ``RedisError``.
  public func client(_ number: Int) throws -> RedisClient {
    try Self.client(of: servers[number], password)
  }

  /// The number of the server that a sentinel names as the primary; nil if it names none of them.
  ///
  /// - Throws: ``RedisError``.
  public func primary(accordingTo sentinel: Int) throws -> Int? {
    let answer = try sentinels[sentinel].client()(
      "SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.primaryName)
    let port = (answer.array?.last?.string).flatMap { Int($0) }
    return servers.firstIndex { $0.port == port }
  }

  /// Asks a sentinel to make a replica the master though nothing is wrong; it may take some seconds.
  ///
  /// - Throws: ``RedisError``, also while the sentinel is not ready for it.
  public func failOver(by sentinel: Int = 0) throws {
    try sentinels[sentinel].client()("SENTINEL", "FAILOVER", Self.primaryName)
  }

  /// Whether each sentinel knows the two others, and two replicas that are well.
  ///
  /// - Throws: ``RedisError``.
  public func isComplete() throws -> Bool {
    try sentinels.allSatisfy { sentinel in
      let client = try sentinel.client()
      let master = Self.fields(try client("SENTINEL", "MASTER", Self.primaryName))
      let replicas = try client("SENTINEL", "REPLICAS", Self.primaryName).array ?? []
      return master["num-other-sentinels"] == "2" && master["flags"] == "master"
        && replicas.count == 2
        && replicas.map(Self.fields).allSatisfy {
          $0["master-link-status"] == "ok" && $0["flags"] == "slave"
        }
    }
  }

  /// Ends all processes.
  public func stop() {
    for sentinel in sentinels { sentinel.stop() }
    for server in servers { server.stop() }
  }

  private static func client(of server: RedisServer, _ password: String?) throws -> RedisClient {
    let client = RedisClient(server)
    if let password { try client("AUTH", password) }
    return client
  }

  private static func fields(_ value: RedisValue) -> [String: String] {
    let texts = (value.array ?? []).map { $0.string ?? "" }
    return Dictionary(
      stride(from: 0, to: texts.count - 1, by: 2).map { (texts[$0], texts[$0 + 1]) },
      uniquingKeysWith: { $1 })
  }

  private static func wait(_ what: String, until condition: () throws -> Bool) throws {
    let deadline = ContinuousClock.now + patience
    while (try? condition()) != true {
      guard ContinuousClock.now < deadline else {
        throw RedisError.start("waited \(patience) for \(what)")
      }
      Thread.sleep(forTimeInterval: 0.02)
    }
  }
}
