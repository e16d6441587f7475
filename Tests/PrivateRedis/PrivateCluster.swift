import Foundation

/// A cluster of masters and as many replicas, at free ports of 127.0.0.1.
///
/// Every method may block its thread; starting may take up to 30 s.
public final class PrivateCluster: Sendable {
  /// How many slots there are.
  public static let slotCount = 16384

  /// The servers: first the masters, then their replicas in the same order.
  public let servers: [RedisServer]
  /// What the nodes call them, in the same order.
  public let ids: [String]
  /// How many of them begin as masters.
  public let masterCount: Int
  /// The ports at which they listen for TLS, in the same order; empty without a certificate.
  package let encryptedPorts: [Int]
  private let password: String?
  private static let patience = Duration.seconds(30)

  /// Starts all, and returns when every master knows all replicas: before that, no replica can be elected.
  ///
  /// - Parameters:
  ///   - masters: The number of masters, which share all slots.
  ///   - hasReplicas: Whether each master has a replica.
  ///   - arguments: Further arguments of the servers.
  ///   - password: The password of the servers.
  ///   - nodeTimeout: How long a node has to be silent before the others count it as failed. The default is 1 s
  ///     with replicas. Without them it is 10 s, so that a node is not failed only because the machine is busy.
  /// - Throws: ``RedisError``.
  public convenience init(
    masters: Int = 3, hasReplicas: Bool = true, arguments: [String] = [], password: String? = nil,
    nodeTimeout: Duration? = nil
  ) throws {
    try self.init(
      masters: masters, hasReplicas: hasReplicas, arguments: arguments, password: password,
      nodeTimeout: nodeTimeout ?? .seconds(hasReplicas ? 1 : 10)
    ) { (try RedisServer(arguments: $0, listen: .tcp), nil) }
  }

  /// Starts three masters and their replicas, which clients can reach by TLS, too.
  ///
  /// - Throws: ``RedisError``.
  package convenience init(
    _ identity: Certificates.Identity, authority: Certificates.Identity, password: String? = nil
  ) throws {
    try self.init(
      masters: 3, hasReplicas: true,
      // Otherwise the nodes would tell their ports without TLS.
      arguments: ["--tls-cluster", "yes", "--tls-replication", "yes"], password: password,
      nodeTimeout: .seconds(10)
    ) { arguments in
      let server = try TLSServer(
        identity, authority: authority, arguments: arguments, listen: .tcp)
      return (server.plain, server.port)
    }
  }

  private init(
    masters: Int, hasReplicas: Bool, arguments: [String], password: String?,
    nodeTimeout: Duration, start: ([String]) throws -> (RedisServer, encryptedPort: Int?)
  ) throws {
    masterCount = masters
    self.password = password
    let arguments =
      arguments + [
        "--cluster-enabled", "yes", "--cluster-node-timeout",
        "\(Int(nodeTimeout / .milliseconds(1)))", "--cluster-replica-validity-factor", "0",
        "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
      ] + (password.map { ["--requirepass", $0, "--masterauth", $0] } ?? [])
    let started = try (0..<(hasReplicas ? 2 : 1) * masters).map { _ in try start(arguments) }
    servers = started.map(\.0)
    ids = try started.map { server, _ in
      try Self.client(of: server, password)("CLUSTER", "MYID").string ?? ""
    }
    encryptedPorts = started.compactMap(\.encryptedPort)
    for number in 0..<masters {
      let client = try client(number)
      try client("CLUSTER", "SET-CONFIG-EPOCH", "\(number + 1)")
      let slots = Self.slotCount * number / masters..<Self.slotCount * (number + 1) / masters
      try client(words: ["CLUSTER", "ADDSLOTS"] + slots.map(String.init))
    }
    for number in servers.indices.dropFirst() { try meet(number) }
    try wait("the nodes to know each other") { [self] in
      try servers.indices.allSatisfy { try nodes(accordingTo: $0).count == servers.count }
    }
    for number in masters..<servers.count {
      try wait("a master to be known") { [self] in
        try client(number)("CLUSTER", "REPLICATE", ids[number - masters])
        return true
      }
    }
    try waitUntilComplete()
  }

  deinit { stop() }

  /// The URL that names some of the nodes; one of TLS names their ports for that.
  public func url(_ numbers: [Int] = [0, 1, 2], scheme: String = "redis+cluster") -> String {
    let hosts = numbers.map { number in
      "127.0.0.1:\(scheme.hasPrefix("rediss") ? encryptedPorts[number] : port(of: number))"
    }.joined(separator: ",")
    return "\(scheme)://\(password.map { ":\($0)@" } ?? "")\(hosts)"
  }

  /// The port of a server.
  public func port(of number: Int) -> Int { servers[number].port ?? 0 }

  /// The port of a server for the other nodes.
  private func busPort(of number: Int) -> Int {
    encryptedPorts.isEmpty ? port(of: number) : encryptedPorts[number]
  }

  /// A client of a server that has logged in, and follows no redirection.
  ///
  /// - Throws: ``RedisError``.
  public func client(_ number: Int) throws -> RedisClient {
    try Self.client(of: servers[number], password)
  }

  private static func client(of server: RedisServer, _ password: String?) throws -> RedisClient {
    let client = RedisClient(server)
    if let password { try client("AUTH", password) }
    return client
  }

  /// Introduces a server to the cluster.
  ///
  /// - Throws: ``RedisError``.
  public func meet(_ number: Int) throws {
    try client(0)("CLUSTER", "MEET", "127.0.0.1", "\(busPort(of: number))")
  }

  /// The nodes that a server knows, each as the words of a line of `CLUSTER NODES`.
  ///
  /// - Throws: ``RedisError``.
  public func nodes(accordingTo number: Int) throws -> [[String]] {
    let text = try client(number)("CLUSTER", "NODES").string ?? ""
    return text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
  }

  /// The number of the server that has a slot, in the eyes of another one; nil if there is none.
  ///
  /// - Throws: ``RedisError``.
  public func owner(of slot: Int, accordingTo number: Int = 0) throws -> Int? {
    for range in try client(number)("CLUSTER", "SLOTS").array ?? [] {
      guard let parts = range.array, let first = parts[0].integer, let last = parts[1].integer,
        (first...last).contains(slot), let id = parts[2].array?[2].string
      else { continue }
      return ids.firstIndex(of: id)
    }
    return nil
  }

  /// The slot of a key.
  ///
  /// - Throws: ``RedisError``.
  public func slot(of key: String) throws -> Int {
    for number in servers.indices {
      if let slot = try? client(number)("CLUSTER", "KEYSLOT", key).integer { return slot }
    }
    throw RedisError.connection("no node answers")
  }

  /// The server that has a key's slot, in the eyes of a server that is alive.
  ///
  /// - Throws: ``RedisError``.
  public func owner(of key: String) throws -> Int? {
    let slot = try slot(of: key)
    for number in servers.indices where servers[number].processID != nil {
      if let owner = try? owner(of: slot, accordingTo: number) { return owner }
    }
    return nil
  }

  /// Moves a slot to another master while clients use it, as redis-cli does.
  ///
  /// - Throws: ``RedisError``.
  public func move(_ slot: Int, from source: Int, to target: Int) throws {
    let (old, new) = (try client(source), try client(target))
    try new("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", ids[source])
    try old("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", ids[target])
    try Self.moveKeys(of: slot, from: old, to: busPort(of: target), password)
    try new("CLUSTER", "SETSLOT", "\(slot)", "NODE", ids[target])
    try old("CLUSTER", "SETSLOT", "\(slot)", "NODE", ids[target])
  }

  /// Moves a slot that is half moved key by key, a few of them at a time.
  ///
  /// - Throws: ``RedisError``.
  public static func moveKeys(
    of slot: Int, from source: RedisClient, to port: Int, _ password: String? = nil
  ) throws {
    let login = password.map { ["AUTH", $0] } ?? []
    while true {
      let found = try source("CLUSTER", "GETKEYSINSLOT", "\(slot)", "100").array ?? []
      guard !found.isEmpty else { return }
      // A key may expire meanwhile.
      try source(
        words: ["MIGRATE", "127.0.0.1", "\(port)", "", "0", "2000"] + login + ["KEYS"]
          + found.compactMap(\.string))
    }
  }

  /// Whether the servers can move a slot in one step.
  ///
  /// - Throws: ``RedisError``.
  public func movesAtomically() throws -> Bool {
    try client(0)("COMMAND", "INFO", "cluster|migrateslots").array?.first?.array != nil
  }

  /// Moves a slot to another master in one step, with the command of Valkey 9.
  ///
  /// - Throws: ``RedisError``.
  public func moveAtomically(_ slot: Int, from source: Int, to target: Int) throws {
    let old = try client(source)
    try old(
      "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", "\(slot)", "\(slot)", "NODE", ids[target])
    try wait("slot \(slot) to be moved") { [self] in
      try [source, target].allSatisfy { try owner(of: slot, accordingTo: $0) == target }
    }
  }

  /// All keys of all masters, each with the number of the server that has it.
  ///
  /// - Throws: ``RedisError``.
  public func keys() throws -> [(key: String, server: Int)] {
    try servers.indices.filter { servers[$0].processID != nil }.flatMap { number in
      let client = try client(number)
      guard try client("ROLE").array?.first?.string == "master" else {
        return [(key: String, server: Int)]()
      }
      return try (client("KEYS", "*").array ?? []).compactMap(\.string).map { ($0, number) }
    }
  }

  /// Waits until every server agrees that all slots are served and every replica is in step.
  ///
  /// - Throws: ``RedisError/start(_:)`` if that takes too long.
  public func waitUntilComplete() throws {
    try wait("the cluster to be complete") { [self] in
      try servers.indices.allSatisfy { number in
        let client = try client(number)
        let isUp = try client("CLUSTER", "INFO").string?.contains("cluster_state:ok") == true
        let ranges = try client("CLUSTER", "SLOTS").array ?? []
        let isReplica = number >= masterCount
        let isInStep = try !isReplica || client("ROLE").array?[3].string == "connected"
        // An entry is the range, the master and its replicas.
        let entryCount = servers.count > masterCount ? 4 : 3
        return isUp && isInStep && ranges.allSatisfy { ($0.array?.count ?? 0) >= entryCount }
      }
    }
  }

  /// Ends all processes.
  public func stop() { for server in servers { server.stop() } }

  private func wait(_ what: String, until condition: () throws -> Bool) throws {
    let deadline = ContinuousClock.now + Self.patience
    while (try? condition()) != true {
      guard ContinuousClock.now < deadline else {
        throw RedisError.start("waited \(Self.patience) for \(what)")
      }
      Thread.sleep(forTimeInterval: 0.02)
    }
  }
}
