import AsyncRedisLock
import PrivateRedis
import Testing

/// The library does not follow a cluster's redirections, but must say so and leave nothing behind.
@Suite("A node of a cluster", .timeLimit(.minutes(5)), .serialized)
struct ClusterTests {
  private static let half = 8192

  /// Assigns slots to a node.
  private func assign(_ slots: Range<Int>, to client: RedisClient) throws {
    try client(words: ["CLUSTER", "ADDSLOTS"] + slots.map(String.init))
  }

  private func waitUntilServing(_ client: RedisClient) async {
    await eventually("the cluster is up") {
      try client("CLUSTER", "INFO").string?.contains("cluster_state:ok") == true
    }
  }

  @Test(
    "A node that serves no slots yet is asked until it serves them",
    .redisServer("--cluster-enabled", "yes"))
  func down() async throws {
    let client = RedisClient(.current)
    let locker = try await Locker { $0.isFencingEnabled = false }
    let attempt = await Attempt {
      try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .milliseconds(200)))
    }
    #expect(attempt.error?.code == .refused)
    #expect(attempt.error?.serverCode == "CLUSTERDOWN")
    #expect(attempt.error?.isRetryable == true)
    #expect(attempt.error?.waited ?? .zero >= .milliseconds(199))
    async let patient = locker.acquire(uniqueKey(), options: LockOptions(timeout: .seconds(20)))
    try assign(0..<2 * Self.half, to: client)
    await waitUntilServing(client)
    #expect(try await patient.isHeld)
  }

  @Test(
    "A node that serves all slots keeps locks on one key until they end, and refuses the rest",
    .redisServer("--cluster-enabled", "yes"), arguments: [true, false])
  func whole(isFencingEnabled: Bool) async throws {
    let client = RedisClient(.current)
    try? assign(0..<2 * Self.half, to: client)
    await waitUntilServing(client)
    let locker = try await Locker { $0.isFencingEnabled = isFencingEnabled }
    let lock = try await locker.acquire(
      uniqueKey(), options: LockOptions(ttl: .seconds(1), extend: .milliseconds(200)))
    let firstEnd = ContinuousClock.now + lock.remaining
    await eventually { ContinuousClock.now + lock.remaining > firstEnd }
    // A release hands on, and the fence counter is in another slot.
    let release = await Attempt { try await lock.release() }
    #expect(release.error?.code == .refused)
    #expect(release.error?.serverCode == "CROSSSLOT")
    #expect(!lock.isHeld)
    await eventually { try client("EXISTS", lock.keys[0]) == .integer(0) }
    let keys = [uniqueKey("{one}"), uniqueKey("{two}")]
    let attempt = await Attempt {
      try await locker.acquire(keys, options: LockOptions(timeout: .seconds(30)))
    }
    #expect(attempt.error?.code == .refused)
    #expect(attempt.error?.serverCode == "CROSSSLOT")
    #expect(attempt.error?.isRetryable == false)
    #expect(attempt.duration < .inTime)
    for key in keys { #expect(try client("EXISTS", key) == .integer(0)) }
  }

  @Test("If a node redirects, the call fails at once with a typed error")
  func moved() async throws {
    let servers = try (0..<2).map { _ in
      try RedisServer(arguments: ["--cluster-enabled", "yes"], listen: .tcp)
    }
    defer { servers.forEach { $0.stop() } }
    let clients = servers.map(RedisClient.init)
    try assign(0..<Self.half, to: clients[0])
    try assign(Self.half..<2 * Self.half, to: clients[1])
    try clients[0]("CLUSTER", "MEET", "127.0.0.1", "\(servers[1].port ?? 0)")
    for client in clients { await waitUntilServing(client) }
    let locker = try await Locker(on: servers[0]) { $0.isFencingEnabled = false }
    var moved = 0
    for number in 0..<20 {
      let key = uniqueKey("key-\(number)")
      let slot = try #require(clients[0]("CLUSTER", "KEYSLOT", key).integer)
      let attempt = await Attempt {
        try await locker.acquire(key, options: LockOptions(timeout: .seconds(30)))
      }
      if slot < Self.half {
        #expect(attempt.value?.isHeld == true)
      } else {
        moved += 1
        #expect(attempt.error?.code == .refused)
        #expect(attempt.error?.serverCode == "MOVED")
        #expect(attempt.error?.isRetryable == false)
        #expect(attempt.duration < .inTime)
      }
    }
    #expect(moved > 0)
  }
}
