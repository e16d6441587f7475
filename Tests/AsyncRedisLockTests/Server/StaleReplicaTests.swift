import FaultProxy
import PrivateRedis
import Testing

@testable import AsyncRedisLock

/// A name may lead to a replica that lags behind, as during a planned failover.
///
/// It runs scripts until they write.
@Suite("A replica that lags behind", .redisServer(), .timeLimit(.minutes(1)))
struct StaleReplicaTests {
  @Test("A replica never says that a token has lost its keys", arguments: [true, false])
  func refuses(isTaken: Bool) throws {
    let (scripts, key, token) = (QueueScripts(), uniqueKey(), QueueScripts.token("holder"))
    if isTaken { try scripts.client("SET", key, QueueScripts.token("another")) }
    // Nothing answers there, so the server stays as it is.
    try scripts.client("REPLICAOF", "127.0.0.1", "1")
    let (plain, queued) = ([key], scripts.names([key]))
    let calls: [(Script, [String], [String])] = [
      (.release, queued, [scripts.prefix, token]),
      (.release, plain, ["", token]),
      (.extend, plain, [token, "30000", "1"]),
      (.keep, plain, [token, "30000"]),
      (.adopt, plain, [token, QueueScripts.token("new"), "30000", "1", "0"]),
      (.acquire, plain, [token, "30000", "1", "0"]),
      (.forceRelease, queued, [scripts.prefix]),
      (.fence, [uniqueKey()] + plain, ["0", token]),
    ]
    for (script, keys, arguments) in calls {
      let error = #expect(throws: RedisError.self) {
        try scripts.runWhole(script, keys, arguments)
      }
      #expect("\(String(describing: error))".contains("READONLY"))
    }
    try scripts.client("REPLICAOF", "NO", "ONE")
    // The tries have changed nothing.
    #expect(try (scripts.holder(key) != nil) == isTaken)
    #expect(try scripts.client("PTTL", key) == .integer(isTaken ? -1 : -2))
  }

  @Test(
    "A replica that takes writes grants no lock, and is left once the name leads to the primary")
  func writable() async throws {
    let servers = try ReplicatedPair()
    defer { servers.stop() }
    let replica = RedisClient(servers.servers[1])
    try replica("CONFIG", "SET", "replica-read-only", "no")
    await eventually("the replica has loaded the data") {
      try replica("ROLE").array?[3].string == "connected"
    }
    try servers.lead(to: 1)
    let (locker, key) = (try Locker(connectingLazilyTo: servers.url), uniqueKey())
    let attempt = await Attempt {
      try await locker.acquire(key, options: LockOptions(timeout: .milliseconds(1500)))
    }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.isRetryable == true)
    #expect(
      attempt.error?.message.contains("replica that takes writes") == true, "\(attempt.result)")
    #expect(try !servers.servers[1].hasKey(key))
    try servers.lead(to: 0)
    let lock = try await locker.acquire(key, options: LockOptions(timeout: .seconds(30)))
    #expect(try servers.servers[0].hasKey(key))
    #expect(try await lock.release() == .released)
    await locker.close()
  }

  @Test("A lock is extended and released where it is, though a locker was led to a replica before")
  func ledToReplica() async throws {
    let servers = try ReplicatedPair()
    defer { servers.stop() }
    let locker = try await Locker(url: "\(servers.url)?operation_timeout=20")
    let options = LockOptions(timeout: .seconds(20), ttl: .seconds(20), extend: .milliseconds(100))
    let lock = try await locker.acquire(uniqueKey(), options: options)
    // New connections lead to a replica that has not heard of the lock.
    let stale = servers.servers[1]
    try RedisClient(stale)("REPLICAOF", "127.0.0.1", "1")
    try RedisClient(stale)("CONFIG", "SET", "replica-read-only", "yes")
    // It has lost what it had.
    try servers.lead(to: 1)
    try RedisClient(servers.servers[0])("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await eventually("the locker asks the replica") { try stale.errors("READONLY") > 0 }
    #expect(lock.isHeld)
    try servers.lead(to: 0)
    let end = lock.lease.state.validUntil
    await eventually(within: .seconds(10), "the lock is extended") {
      lock.isHeld && lock.lease.state.validUntil > end
    }
    #expect(try await lock.release() == .released)
    await locker.close()
  }

  @Test("What a read-only replica has refused is not given back, and keeps no locker from closing")
  func nothingToUndo() async throws {
    let replica = try RedisServer(arguments: ["--replicaof", "127.0.0.1", "1"])
    defer { replica.stop() }
    for isFencing in [true, false] {
      let locker = try await Locker(url: replica.url) {
        $0.isFencingEnabled = isFencing
        $0.operationTimeout = .seconds(30)
      }
      let options = LockOptions(timeout: .seconds(1))
      let attempts = [
        await Attempt { try await locker.acquire(uniqueKey(), options: options) },
        await Attempt { try await locker.acquire([uniqueKey(), uniqueKey()], options: options) },
      ]
      // Also if the time is up before the next login.
      #expect(attempts.allSatisfy { $0.error?.serverCode == "READONLY" })
      let closing = await Attempt { await locker.close() }
      #expect(closing.duration < .seconds(15))
    }
    #expect(try replica.errors("READONLY") > 3)
    // A clean-up that the server does not know by its digest brings its source.
    let isKnown = try RedisClient(replica)("SCRIPT", "EXISTS", Script.release.digest)
    #expect(isKnown == .array([.integer(0)]))
  }

  @Test(
    "A claim that a replica refuses after its caller has given up is not undone again and again")
  func refusedTooLate() async throws {
    let server = try FakeServer { command, _, _ in
      switch command.name {
      case "SET": FakeAnswer.send("-READONLY a replica\r\n").delayed(by: .milliseconds(300))
      // The undo, which names the token.
      case "EVAL", "EVALSHA":
        command.words.contains { $0.hasPrefix("rl1") } ? "-READONLY a replica\r\n" : nil
      default: nil
      }
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url) { $0.operationTimeout = .seconds(30) }
    let attempt = await Attempt {
      try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .milliseconds(100)))
    }
    #expect(attempt.error?.isRetryable == true)
    let closing = await Attempt { await locker.close() }
    #expect(closing.duration < .seconds(15))
  }
}
