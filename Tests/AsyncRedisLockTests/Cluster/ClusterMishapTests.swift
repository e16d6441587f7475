import FaultProxy
import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("Mishaps of a cluster", .timeLimit(.minutes(4)), .serialized)
struct ClusterMishapTests {
  private static let options = LockOptions(
    timeout: .seconds(2), ttl: .seconds(3), extend: .milliseconds(500))

  /// Two lockers that contend for a key of each kind of load, until they are stopped.
  private final class Load: Sendable {
    let record = HoldRecord()
    private let workers: [Task<Void, Never>]

    init(on lockers: [Locker], key: String) {
      let record = record
      workers = lockers.enumerated().map { number, locker in
        Task { await record.work(number, on: locker, key, options) }
      }
    }

    /// Waits until both have had the lock again and again.
    func progress(_ comment: Comment, within limit: Duration = .seconds(30)) async {
      let counts = (0..<2).map(record.count)
      await eventually(within: limit, comment) {
        (0..<2).allSatisfy { record.count(of: $0) >= counts[$0] + 5 }
      }
    }

    func finish(_ comment: Comment) async {
      record.stop()
      for worker in workers { await worker.value }
      #expect(record.overlaps.isEmpty, "\(comment): \(record.overlaps.prefix(3))")
      #expect(record.disorders.isEmpty, "\(comment): \(record.disorders.prefix(3))")
    }
  }

  /// Expects that each helper key is in its slot, and that no lock is left.
  private func expectOrder(in cluster: PrivateCluster) throws {
    let keys = try cluster.keys()
    for (name, server) in keys where name.hasPrefix("redis-lock:") {
      let owner = try cluster.owner(of: HashSlot.slot(of: name), accordingTo: server)
      #expect(owner == server, "\(name)")
    }
    let left = keys.map(\.key).filter { !$0.hasPrefix("redis-lock:") && !$0.contains("filler") }
    #expect(left.isEmpty, "\(left)")
  }

  @Test(
    "While slots move to and fro, and a node comes and goes, locks have one holder and fences are in order"
  )
  func movingSlots() async throws {
    let cluster = try await onThread { try PrivateCluster(hasReplicas: false) }
    defer { cluster.stop() }
    let added = try RedisServer(arguments: ["--cluster-enabled", "yes"], listen: .tcp)
    defer { added.stop() }
    let key = uniqueKey("moving").filter { $0 != "{" && $0 != "}" }
    let slot = try cluster.slot(of: key)
    let source = try #require(try cluster.owner(of: slot))
    let target = (source + 1) % 3
    // Without them, the slot would be half moved for a moment only.
    try cluster.client(source)("DEBUG", "POPULATE", "100000", "{\(key)}filler")
    let lockers = [
      try await Locker(url: cluster.url()), try await Locker(url: cluster.url([2, 1])),
    ]
    let single = Load(on: lockers, key: key)
    let several = Load(on: lockers, key: "{\(key)}other")
    await single.progress("before")
    let kept = try await lockers[0].acquire("{\(key)}kept", options: Self.options)
    let movesAtomically = try cluster.movesAtomically()
    for round in 0..<(movesAtomically ? 4 : 2) {
      let (from, to) = round % 2 == 0 ? (source, target) : (target, source)
      try await onThread {
        if round < 2 {
          try cluster.move(slot, from: from, to: to)
        } else {
          try cluster.moveAtomically(slot, from: from, to: to)
        }
      }
      await single.progress("round \(round)")
    }
    try await move(slot, of: cluster, from: source, to: added, and: single)
    #expect(kept.isHeld)
    #expect(try await kept.release() == .released)
    await single.finish("one key")
    await several.finish("another key")
    try expectOrder(in: cluster)
    for locker in lockers { await locker.close() }
  }

  /// Adds a node, lets it have a slot for a while, and removes it.
  private func move(
    _ slot: Int, of cluster: PrivateCluster, from source: Int, to added: RedisServer,
    and load: Load
  ) async throws {
    let (client, new) = (try cluster.client(source), RedisClient(added))
    try client("CLUSTER", "MEET", "127.0.0.1", "\(added.port ?? 0)")
    let (oldID, newID) = (
      cluster.ids[source], try #require(new("CLUSTER", "MYID").string)
    )
    await eventually(within: .seconds(10), "the node is known") {
      try new("CLUSTER", "INFO").string?.contains("cluster_state:ok") == true
        && cluster.servers.indices.allSatisfy {
          try cluster.client($0)("CLUSTER", "NODES").string?.contains(newID) == true
        }
    }
    try await onThread {
      try Self.move(slot, client, oldID, to: new, newID, added.port ?? 0)
    }
    await load.progress("the added node has the slot")
    try await onThread {
      try Self.move(slot, new, newID, to: client, oldID, cluster.port(of: source))
    }
    for number in cluster.servers.indices {
      try cluster.client(number)("CLUSTER", "FORGET", newID)
    }
    added.stop()
    await load.progress("the node is gone")
  }

  private static func move(
    _ slot: Int, _ old: RedisClient, _ oldID: String, to new: RedisClient, _ newID: String,
    _ port: Int
  ) throws {
    try new("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", oldID)
    try old("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", newID)
    try PrivateCluster.moveKeys(of: slot, from: old, to: port)
    try new("CLUSTER", "SETSLOT", "\(slot)", "NODE", newID)
    // A node without slots may have made itself a replica by then.
    _ = try? old("CLUSTER", "SETSLOT", "\(slot)", "NODE", newID)
  }

  @Test(
    "While masters are failed over, killed and stopped, locks have one holder, and those of others are kept"
  )
  func failovers() async throws {
    let cluster = try await onThread { try PrivateCluster() }
    defer { cluster.stop() }
    let lockers = [
      try await Locker(url: cluster.url()), try await Locker(url: cluster.url([2, 1])),
    ]
    let keys = try keyOnEachMaster(of: cluster)
    let loads = keys.map { Load(on: lockers, key: $0) }
    for load in loads { await load.progress("before") }
    let kept = try await lockers[0].acquire(
      "{\(keys[0])}kept", options: LockOptions(ttl: .seconds(20), extend: .milliseconds(300)))

    await eventually(within: .seconds(10), "a planned failover") {
      try cluster.client(3)("CLUSTER", "FAILOVER")
      return true
    }
    await eventually(within: .seconds(10), "the replica is the master") {
      try cluster.client(3)("ROLE").array?.first?.string == "master"
    }
    await loads[0].progress("after a planned failover")

    cluster.servers[1].kill()
    await loads[0].progress("one master is dead, and another's locks go on")
    await eventually(within: .seconds(20), "a replica is elected") {
      try cluster.client(4)("ROLE").array?.first?.string == "master"
    }
    await loads[1].progress("after an election")
    try cluster.servers[1].restart()
    await eventually(within: .seconds(20), "the former master is a replica") {
      try cluster.client(1)("ROLE").array?.first?.string == "slave"
    }

    cluster.servers[2].pause()
    await eventually(within: .seconds(20), "a replica is elected") {
      try cluster.client(5)("ROLE").array?.first?.string == "master"
    }
    cluster.servers[2].resume()
    for load in loads { await load.progress("after all") }
    #expect(kept.isHeld)
    #expect(try await kept.release() == .released)
    for (number, load) in loads.enumerated() { await load.finish("master \(number)") }
    try expectOrder(in: cluster)
    for locker in lockers { await locker.close() }
  }

  @Test(
    "A node that only the client cannot reach spoils no lock of another node, and is used again afterwards"
  )
  func unreachable() async throws {
    let cluster = try await onThread { try PrivateCluster(hasReplicas: false) }
    defer { cluster.stop() }
    let links = try cluster.servers.map { try ClientLink(to: $0.port ?? 0) }
    defer { links.forEach { $0.stop() } }
    try await announce(links, in: cluster)
    let locker = try await Locker(url: cluster.url())
    let options = LockOptions(timeout: .seconds(1), ttl: .seconds(1), extend: .milliseconds(200))
    var locks: [[Lock]] = [[], [], []]
    for number in 0..<60 {
      let key = uniqueKey("u\(number)")
      let owner = try #require(try cluster.owner(of: key))
      locks[owner].append(try await locker.acquire(key, options: options))
    }
    links[1].cut()
    await eventually(within: .seconds(5), "the locks at the node are lost") {
      locks[1].allSatisfy { !$0.isHeld }
    }
    let end = ContinuousClock.now + .milliseconds(1500)
    await eventually { ContinuousClock.now > end }
    #expect((locks[0] + locks[2]).allSatisfy { $0.isHeld })
    links[1].mend()
    let key = locks[1][0].keys[0]
    let again = try await locker.acquire(
      key, options: LockOptions(timeout: .seconds(10), ttl: .seconds(5)))
    #expect(try await again.release() == .released)
    for lock in locks[0] + locks[2] { #expect(try await lock.release() == .released) }
    await locker.close()
  }

  /// Has clients told the addresses of some links instead of the nodes' own.
  private func announce(_ links: [ClientLink], in cluster: PrivateCluster) async throws {
    for (number, link) in links.enumerated() {
      try cluster.client(number)("CONFIG", "SET", "cluster-announce-port", "\(link.port)")
    }
    let ports = Set(links.map { Int64($0.port) })
    await eventually(within: .seconds(10), "the nodes know the new ports") {
      try (0..<3).allSatisfy { number in
        let ranges = try cluster.client(number)("CLUSTER", "SLOTS").array ?? []
        return Set(ranges.compactMap { $0.array?[2].array?[1].integer }.map(Int64.init)) == ports
      }
    }
  }

  @Test("While the nodes' addresses change one by one, until no former one is left, locks are kept")
  func changedAddresses() async throws {
    let cluster = try await onThread { try PrivateCluster(hasReplicas: false) }
    defer { cluster.stop() }
    var links = try cluster.servers.map { try ClientLink(to: $0.port ?? 0) }
    defer { links.forEach { $0.stop() } }
    try await announce(links, in: cluster)
    let url = "redis+cluster://" + links.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
    let lockers = [try await Locker(url: url), try await Locker(url: url)]
    let keys = try keyOnEachMaster(of: cluster)
    let loads = keys.map { Load(on: lockers, key: $0) }
    for load in loads { await load.progress("before") }
    var kept: [Lock] = []
    for key in keys {
      kept.append(try await lockers[0].acquire("{\(key)}kept", options: Self.options))
    }
    for number in links.indices {
      let former = links[number]
      links[number] = try ClientLink(to: cluster.port(of: number))
      try await announce(links, in: cluster)
      former.cut()
      former.stop()
      for load in loads { await load.progress("node \(number) has another address") }
    }
    for lock in kept {
      #expect(lock.isHeld)
      #expect(try await lock.release() == .released)
    }
    for (number, load) in loads.enumerated() { await load.finish("master \(number)") }
    try expectOrder(in: cluster)
    for locker in lockers { await locker.close() }
  }

  @Test("When a master fails, its clients spread their questions about slots over the others")
  func spreadQuestions() async throws {
    let cluster = try await onThread { try PrivateCluster(hasReplicas: false) }
    defer { cluster.stop() }
    let key = try keyOnEachMaster(of: cluster)[1]
    let clientCount = 40
    var locks: [(Locker, Lock)] = []
    for number in 0..<clientCount {
      let locker = try await Locker(url: cluster.url())
      locks.append((locker, try await locker.acquire("{\(key)}\(number)", options: Self.options)))
    }
    let others = try [0, 2].map(cluster.client)
    for other in others { try other("CONFIG", "RESETSTAT") }
    cluster.servers[1].kill()
    await eventually(within: .seconds(20), "each client has asked") {
      try others.reduce(0) { try $0 + Self.questions(to: $1) } >= clientCount
    }
    let counts = try others.map(Self.questions)
    #expect((counts.min() ?? 0) * 10 >= counts.reduce(0, +), "\(counts)")
    await withTaskGroup(of: Void.self) { group in
      for (locker, _) in locks { group.addTask { await locker.close() } }
    }
  }

  /// How often a node was asked for the slots.
  private static func questions(to node: RedisClient) throws -> Int {
    let text = try node("INFO", "commandstats").string ?? ""
    let count = text.firstMatch(of: /cmdstat_cluster\|slots:calls=(\d+)/)?.1
    return count.flatMap { Int($0) } ?? 0
  }

  /// A key on each of three masters, in their order.
  private func keyOnEachMaster(of cluster: PrivateCluster) throws -> [String] {
    var keys: [String] = []
    while keys.count < 3 {
      let key = uniqueKey("k\(keys.count)").filter { $0 != "{" && $0 != "}" }
      if try cluster.owner(of: key) == keys.count { keys.append(key) }
    }
    return keys
  }
}

/// Connects clients to a node, until it is cut.
private final class ClientLink: Sendable {
  private let listener: FakeListener
  /// The ends of all connections so far; nil while it is cut.
  private let wires: Shared<[FakeWire]?>

  init(to port: Int) throws {
    let wires = Shared<[FakeWire]?>([])
    self.wires = wires
    listener = try FakeListener(.tcp) { client in
      guard let server = try? FakeWire(connectingTo: .tcp(port: UInt16(port))) else {
        return client.hangUp()
      }
      wires.change { $0?.append(contentsOf: [client, server]) }
      // It may have been cut meanwhile.
      if wires.value == nil {
        client.hangUp()
        server.hangUp()
      }
      Thread.detachNewThread {
        while let bytes = client.receive() { server.write(bytes) }
        server.hangUp()
      }
      Thread.detachNewThread {
        while let bytes = server.receive() { client.write(bytes) }
        client.hangUp()
      }
    }
  }

  var port: Int { if case .tcp(let port) = listener.address { Int(port) } else { 0 } }

  /// Ends all connections, and accepts no more.
  func cut() { wires.exchange(nil)?.forEach { $0.hangUp() } }

  func mend() { wires.value = [] }

  func stop() {
    cut()
    listener.stop()
  }
}
