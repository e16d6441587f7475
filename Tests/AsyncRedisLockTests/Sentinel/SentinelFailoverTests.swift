import AsyncRedisLock
import FaultProxy
import Foundation
import PrivateRedis
import Testing

@Suite("A failover by sentinels", .timeLimit(.minutes(3)))
struct SentinelFailoverTests {
  /// What happens to the master.
  enum Mishap: String, CaseIterable {
    /// A sentinel is asked to fail over; the old master is alive.
    case planned
    case killed
    /// The old master comes back at its address, for a moment as a master.
    case killedAndRestarted
    /// The old master goes on where it was, as a master.
    case stoppedAndResumed
    /// With passwords on servers and sentinels, and the first of the sentinels dead.
    case plannedWithPasswords

    var arguments: [String] {
      switch self {
      // Otherwise the old master takes writes that the new one does not know, as long as it has its other replica.
      case .planned, .plannedWithPasswords:
        ["--min-replicas-to-write", "2", "--min-replicas-max-lag", "10"]
      case .killed: []
      case .killedAndRestarted, .stoppedAndResumed:
        ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "10"]
      }
    }
  }

  // At once, since nearly all of the time is spent on waiting for sentinels.
  @Test("While a failover takes place, two lockers never hold a lock at once, and both go on")
  func failovers() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for mishap in Mishap.allCases { group.addTask { try await failOver(mishap) } }
      try await group.waitForAll()
    }
  }

  private func failOver(_ mishap: Mishap) async throws {
    let hasPasswords = mishap == .plannedWithPasswords
    let trio = try await onThread {
      try SentinelTrio(
        arguments: mishap.arguments, password: hasPasswords ? "pw1" : nil,
        sentinelPassword: hasPasswords ? "pw2" : nil)
    }
    defer { trio.stop() }
    if hasPasswords { trio.sentinels[0].kill() }
    let options = LockOptions(timeout: .seconds(2), ttl: .seconds(2), extend: .milliseconds(400))
    let record = HoldRecord()
    let lockers = [
      try await Locker(url: trio.url()), try await Locker(url: trio.url([2, 1, 0])),
    ]
    let (key, keptKey) = (uniqueKey(), uniqueKey("kept"))
    let kept = try await lockers[0].acquire(
      keptKey, options: LockOptions(ttl: .seconds(30), extend: .milliseconds(300)))
    let workers = lockers.enumerated().map { number, locker in
      Task { await record.work(number, on: locker, key, options) }
    }
    await progress(of: record)

    switch mishap {
    case .planned, .plannedWithPasswords:
      await eventually("the failover begins") {
        try trio.failOver(by: 1)
        return true
      }
    case .killed: trio.servers[0].kill()
    case .killedAndRestarted: trio.servers[0].kill()
    case .stoppedAndResumed: trio.servers[0].pause()
    }
    await eventually(within: .seconds(30), "another server is the primary") {
      try trio.primary(accordingTo: 1).map { $0 != 0 } ?? false
    }
    switch mishap {
    case .killedAndRestarted: try trio.servers[0].restart()
    case .stoppedAndResumed: trio.servers[0].resume()
    case .killed, .planned, .plannedWithPasswords: break
    }
    await progress(of: record)
    if mishap != .killed {
      await eventually(within: .seconds(40), "the former master is a replica") {
        try trio.client(0)("ROLE").array?.first?.string == "slave"
      }
      await progress(of: record)
    }
    record.stop()
    for worker in workers { await worker.value }

    #expect(record.overlaps.isEmpty, "\(mishap): \(record.overlaps.prefix(3))")
    #expect(record.disorders.isEmpty, "\(mishap): \(record.disorders.prefix(3))")
    // The lock was on the replica, and its holder has been led there in time.
    #expect(kept.isHeld, "\(mishap)")
    let primary = try #require(try trio.primary(accordingTo: 1), "\(mishap)")
    #expect(primary != 0, "\(mishap)")
    #expect(try trio.client(primary)("GET", keptKey).string == kept.token, "\(mishap)")
    #expect(try await kept.release() == .released, "\(mishap)")
    for locker in lockers { await locker.close() }
  }

  @Test("With acknowledgements, a failover to replicas that were stopped forgets no lock")
  func acknowledged() async throws {
    let trio = try await onThread { try SentinelTrio() }
    defer { trio.stop() }
    let query = "replica_acknowledgements=2&operation_timeout=500ms"
    let options = LockOptions(timeout: .seconds(2), ttl: .seconds(2), extend: .milliseconds(400))
    let record = HoldRecord()
    let lockers = [
      try await Locker(url: trio.url(query: query)),
      try await Locker(url: trio.url([2, 1, 0], query: query)),
    ]
    let (key, keptKey) = (uniqueKey(), uniqueKey("kept"))
    let kept = try await lockers[0].acquire(
      keptKey, options: LockOptions(ttl: .seconds(60), extend: .milliseconds(300)))
    let workers = lockers.enumerated().map { number, locker in
      Task { await record.work(number, on: locker, key, options) }
    }
    await progress(of: record)
    // From here on, the primary grants what no other server knows.
    for number in [1, 2] { trio.servers[number].pause() }
    await eventually(within: .seconds(10), "a lock waits for its replicas") {
      let clients = try trio.client(0)("INFO", "clients").string ?? ""
      let isLocked = try trio.servers[0].hasKey(key)
      return isLocked && !clients.contains("blocked_clients:0")
    }
    trio.servers[0].kill()
    for number in [1, 2] { trio.servers[number].resume() }
    await eventually(within: .seconds(30), "another server is the primary") {
      try trio.primary(accordingTo: 1).map { $0 != 0 } ?? false
    }
    // Locks need two replicas again; the sentinels would take their time for that.
    let next = try #require(try trio.primary(accordingTo: 1))
    try trio.servers[0].restart()
    try trio.client(0)("REPLICAOF", "127.0.0.1", "\(trio.servers[next].port ?? 0)")
    await progress(of: record)
    record.stop()
    for worker in workers { await worker.value }
    #expect(record.overlaps.isEmpty, "\(record.overlaps.prefix(3))")
    #expect(record.disorders.isEmpty, "\(record.disorders.prefix(3))")
    #expect(kept.isHeld)
    let primary = try #require(try trio.primary(accordingTo: 1))
    #expect(try trio.client(primary)("GET", keptKey).string == kept.token)
    #expect(try await kept.release() == .released)
    for locker in lockers { await locker.close() }
  }

  @Test("A replica that is promoted by hand is not used, and nothing stops")
  func promotedByHand() async throws {
    let trio = try await onThread { try SentinelTrio() }
    defer { trio.stop() }
    let record = HoldRecord()
    let options = LockOptions(timeout: .seconds(2), ttl: .seconds(2))
    let lockers = [
      try await Locker(url: trio.url()), try await Locker(url: trio.url([2, 1, 0])),
    ]
    let key = uniqueKey()
    let workers = lockers.enumerated().map { number, locker in
      Task { await record.work(number, on: locker, key, options) }
    }
    await progress(of: record)
    try trio.client(1)("REPLICAOF", "NO", "ONE")
    for number in [0, 1] {
      try trio.client(number)("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    }
    await progress(of: record)
    record.stop()
    for worker in workers { await worker.value }
    #expect(record.overlaps.isEmpty, "\(record.overlaps.prefix(3))")
    #expect(record.disorders.isEmpty, "\(record.disorders.prefix(3))")
    #expect(try trio.primary(accordingTo: 0) == 0)
    for locker in lockers { await locker.close() }
  }

  @Test(
    "A holder that is cut off together with the old master loses its lock before another gets it")
  func cutOff() async throws {
    let master = try RedisServer(
      arguments: ["--min-replicas-to-write", "1", "--repl-diskless-sync-delay", "0"], listen: .tcp)
    let replica = try RedisServer(listen: .tcp)
    let link = try ReplicationLink(to: try #require(master.port))
    // The sentinel on the holder's side, which hears of no failover.
    let near = try FakeSentinel(.port(try #require(master.port)))
    defer {
      link.stop()
      for server in [master, replica] { server.stop() }
      near.stop()
    }
    try RedisClient(replica)("REPLICAOF", "127.0.0.1", link.port)
    let options = LockOptions(timeout: .seconds(30), ttl: .seconds(4), extend: .milliseconds(500))
    let holder = try await Locker(url: FakeSentinel.url([near.port]))
    let key = uniqueKey()
    await eventually(within: .seconds(10), "the master has its replica") {
      try RedisClient(replica)("ROLE").array?[3].string == "connected"
    }
    // The one on the other side knows the master by the link.
    let far = try SentinelServer(configuration: [
      "sentinel monitor locks 127.0.0.1 \(link.port) 1",
      "sentinel down-after-milliseconds locks 500", "sentinel failover-timeout locks 3000",
    ])
    defer { far.stop() }
    let client = try far.client()
    await eventually(within: .seconds(10), "it knows the replica") {
      let replicas = try client("SENTINEL", "REPLICAS", "locks").array ?? []
      return replicas.count == 1
        && replicas[0].array?.contains { $0.string == "ok" } == true
    }
    let lost = try await holder.acquire(key, options: options)
    await eventually("the lock is on the replica") { try replica.hasKey(key) }

    link.cut()
    await eventually(within: .seconds(20), "the sentinel has made the replica the primary") {
      try RedisClient(replica)("ROLE").array?.first?.string == "master"
    }
    let other = try await Locker(
      url: FakeSentinel.url([far.port], query: "connect_timeout=10s&operation_timeout=10s"))
    let taken = try await other.acquire(key, options: options)
    #expect(!lost.isHeld)
    #expect(taken.fencingToken ?? 0 > lost.fencingToken ?? .max)
    #expect(try await taken.release() == .released)
    await other.close()
    await holder.close()
  }

  /// Waits until both workers have had the lock a few times more.
  private func progress(of record: HoldRecord) async {
    let counts = (0..<2).map(record.count)
    await eventually(within: .seconds(40), "both have the lock again and again") {
      (0..<2).allSatisfy { record.count(of: $0) >= counts[$0] + 5 }
    }
  }
}
