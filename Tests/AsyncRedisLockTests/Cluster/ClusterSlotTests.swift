import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

/// What a locker does at the masters of slots, in the cluster that it shares with ``ClusterLockTests``.
@Suite("Slots of a cluster and their masters", .timeLimit(.minutes(3)), .serialized)
struct ClusterSlotTests {
  private let cluster: PrivateCluster

  init() async throws {
    cluster = try await onThread { try #require(SharedCluster.all) }
  }

  /// A new key that a master has.
  private func key(at master: Int, _ start: String = "") throws -> String {
    while true {
      let key = start + uniqueKey("k")
      if try cluster.owner(of: key) == master { return key }
    }
  }

  @Test("A locker has one connection to each master that it uses, and none to others")
  func connections() async throws {
    let name = uniqueKey("c").filter { $0.isLetter || $0.isNumber }
    let locker = try await Locker(url: cluster.url()) { $0.clientName = name }
    func counts() throws -> [Int] {
      try (0..<3).map { number in
        let clients = try cluster.client(number)("CLIENT", "LIST").string ?? ""
        return clients.split(separator: "\n").count { $0.contains("name=\(name) ") }
      }
    }
    var expected = [0, 0, 0]
    for master in [1, 0] {
      let keys = try (0..<10).map { _ in try key(at: master) }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for key in keys {
          group.addTask { try await locker.withLock(key, options: .patient) { _ in } }
        }
        try await group.waitForAll()
      }
      expected[master] = 1
      await eventually("\(expected)") { try counts() == expected }
    }
    await locker.close()
  }

  @Test("A waiter listens at the new master of its slot, and gets the lock from there")
  func movedWaiter() async throws {
    let (source, target) = (1, 2)
    let key = try key(at: source)
    let slot = try cluster.slot(of: key)
    let (first, second) = (
      try await Locker(url: cluster.url()), try await Locker(url: cluster.url())
    )
    let inbox = ServerKeys(prefix: "redis-lock:", slot: slot).inbox(of: second.id)
    func isHeard(at master: Int) throws -> Bool {
      try cluster.client(master)("PUBSUB", "SHARDNUMSUB", inbox).array?.last?.integer == 1
    }
    let lock = try await first.acquire(key, options: .patient)
    async let next = second.acquire(key, options: .patient)
    await eventually("it waits") {
      try await first.inspect(key)?.waiterCount == 1 && isHeard(at: source)
    }
    try await onThread { try cluster.move(slot, from: source, to: target) }
    // Until it polls, nothing but the end of its subscription tells it.
    await eventually(within: .inTime, "it listens at the new master") {
      try isHeard(at: target)
    }
    #expect(try await lock.release() == .released)
    let start = ContinuousClock.now
    let handed = try await next
    #expect(ContinuousClock.now - start < .inTime)
    #expect(try #require(handed.fencingToken) > #require(lock.fencingToken))
    #expect(try await handed.release() == .released)
    for locker in [first, second] { await locker.close() }
    try await onThread { try cluster.move(slot, from: target, to: source) }
  }

  @Test(
    "While a slot is half moved, locks on one key are taken, kept and freed, and those on several wait"
  )
  func halfMoved() async throws {
    let (source, target) = (0, 1)
    let tag = try key(at: source)
    let slot = try cluster.slot(of: tag)
    let options = LockOptions(
      timeout: .seconds(20), ttl: .seconds(3), extend: .milliseconds(100))
    let locker = try await Locker(url: cluster.url()) { $0.operationTimeout = .seconds(20) }
    let (old, new) = (try cluster.client(source), try cluster.client(target))
    let before = try await locker.acquire("{\(tag)}before", options: options)
    try new("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", cluster.ids[source])
    try old("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", cluster.ids[target])
    // The other tests use the cluster, too.
    defer { for node in [old, new] { _ = try? node("CLUSTER", "SETSLOT", "\(slot)", "STABLE") } }

    let meanwhile = try await locker.acquire("{\(tag)}meanwhile", options: options)
    #expect(try new("CLUSTER", "COUNTKEYSINSLOT", "\(slot)").integer ?? 0 > 0)
    for lock in [before, meanwhile] {
      let end = lock.lease.state.validUntil
      await eventually("\(lock.keys[0]) is extended") {
        lock.lease.state.validUntil > end + .milliseconds(200)
      }
    }
    for lock in [before, meanwhile] {
      #expect(try await lock.release() == .released)
      #expect(try await locker.acquireIfAvailable(lock.keys[0])?.release() == .released)
    }

    func refusals() throws -> Int {
      try [source, target].reduce(0) { try $0 + cluster.servers[$1].errors("TRYAGAIN") }
    }
    let former = try refusals()
    async let several = locker.acquire("{\(tag)}one", "{\(tag)}two", options: options)
    await eventually("it asks again") { try refusals() >= former + 3 }
    try await onThread { try cluster.move(slot, from: source, to: target) }
    #expect(try await several.release() == .released)
    await locker.close()
    try await onThread { try cluster.move(slot, from: target, to: source) }
  }

  @Test("A server that is no cluster, such as a proxy, counts as one node with all slots")
  func alone() async throws {
    let server = try RedisServer(listen: .tcp)
    defer { server.stop() }
    let url = "redis+cluster://127.0.0.1:\(server.port ?? 0)"
    let (first, second) = (try await Locker(url: url), try await Locker(url: url))
    for key in ["a}b", "c"] {
      let lock = try await first.acquire(key, options: .patient)
      async let next = second.acquire(key, options: .patient)
      await eventually("it waits") { try await first.inspect(key)?.waiterCount == 1 }
      #expect(try await lock.release() == .released)
      #expect(try await next.release() == .released)
      let fence = ServerKeys(prefix: "redis-lock:", slot: HashSlot.slot(of: key)).fence
      #expect(try server.hasKey(fence))
    }
    for locker in [first, second] { await locker.close() }
  }

  // MARK: Permissions

  /// The rules that a user needs in a cluster beyond those of the README.
  private func rulesOfClusters() throws -> [String] {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
      path: "../../../Sources/AsyncRedisLock/AsyncRedisLock.docc/Operations.md")
    let text = try String(contentsOf: file.standardized, encoding: .utf8)
    let start = "In a cluster, the user also needs `"
    let rest = try #require(text.components(separatedBy: start).dropFirst().first)
    return rest.prefix { $0 != "`" }.split(whereSeparator: \.isWhitespace).map(String.init)
  }

  /// Lets a locker wait for another one's lock, once at each master, until `waits` says that it does.
  private func handOn(
    _ first: Locker, _ second: Locker, retry: Duration,
    waits: (_ key: String, _ server: RedisServer) async throws -> Bool
  ) async throws {
    let options = LockOptions(
      retry: retry, timeout: .seconds(20), ttl: .seconds(30), extend: .seconds(10))
    for master in 0..<3 {
      let key = try key(at: master, "invoices:")
      let lock = try await first.acquire(key, options: options)
      async let next = second.acquire(key, options: options)
      await eventually("it waits") { try await waits(key, cluster.servers[master]) }
      #expect(try await lock.release() == .released)
      #expect(try await next.release() == .released)
    }
  }

  @Test(
    "A user with the documented rules for a cluster needs no more, and polls without +ssubscribe")
  func permissions() async throws {
    let name = uniqueKey("user").filter { $0.isLetter || $0.isNumber }
    let rules = try LeastPrivilege.rules() + rulesOfClusters()
    func setUser(_ rules: [String]) throws {
      for number in 0..<3 {
        try cluster.client(number)(words: ["ACL", "SETUSER", name] + rules)
      }
    }
    try setUser(rules)
    let url = cluster.url().replacing("://", with: "://\(name):secret@")
    func lockers() async throws -> (Locker, Locker) {
      (try await Locker(url: url), try await Locker(url: url))
    }
    for number in 0..<3 { try cluster.client(number)("CONFIG", "RESETSTAT") }
    let (first, second) = try await lockers()
    try await handOn(first, second, retry: .seconds(20)) { key, _ in
      try await first.inspect(key)?.waiterCount == 1
    }
    let tag = try key(at: 0, "invoices:")
    let both = try await first.acquire("\(tag){a}1", "\(tag){a}2", options: .patient)
    #expect(try await both.release() == .released)
    for server in cluster.servers { #expect(try server.errors("NOPERM") == 0) }
    for locker in [first, second] { await locker.close() }

    try setUser(["-ssubscribe"])
    let (third, fourth) = try await lockers()
    try await handOn(third, fourth, retry: .milliseconds(100)) { _, server in
      try server.errors("NOPERM") > 0
    }
    for locker in [third, fourth] { await locker.close() }
    for number in 0..<3 { try cluster.client(number)("ACL", "DELUSER", name) }
  }
}
