import AsyncRedisLock
import FaultProxy
import Foundation
import PrivateRedis
import Testing

@Suite(
  "A locker whose sentinels and servers disagree", .redisServer(listen: .tcp),
  .timeLimit(.minutes(2)))
struct SentinelDisputeTests {
  private var port: Int { RedisServer.current.port ?? 0 }

  @Test(
    "If the server denies it to the inbox, the connection for requests asks again, and hears of changes"
  )
  func denialToInbox() async throws {
    let next = try RedisServer(listen: .tcp)
    let sentinel = try FakeSentinel(.port(port, epoch: 1))
    defer {
      next.stop()
      sentinel.stop()
    }
    let name = uniqueKey("client")
    let locker = try await Locker(
      url: FakeSentinel.url([sentinel.port], query: "client_name=\(name)"))
    let client = RedisClient(.current)
    func connections(_ type: String) throws -> Int {
      let list = try client("CLIENT", "LIST", "TYPE", type).string ?? ""
      return list.split(separator: "\n").count { $0.contains(" name=\(name) ") }
    }
    // A wait opens the inbox.
    let key = uniqueKey()
    try client("SET", key, "other", "PX", "300")
    let waited = try await locker.acquire(key, options: LockOptions(timeout: .seconds(20)))
    _ = try await waited.release()
    await eventually("both are there") {
      try connections("NORMAL") == 1 && connections("PUBSUB") == 1
        && sentinel.watches.count == 1
    }
    try client("REPLICAOF", "127.0.0.1", "1")
    try client("CLIENT", "KILL", "TYPE", "pubsub")
    await eventually("the connection for requests has left") { try connections("NORMAL") == 0 }
    try client("REPLICAOF", "NO", "ONE")
    let lock = try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .seconds(20)))
    #expect(try RedisServer.current.hasKey(lock.keys[0]))
    #expect(try await lock.release() == .released)
    sentinel.name(.port(next.port ?? 0, epoch: 2))
    sentinel.tellChange(to: next.port ?? 0)
    await eventually("the locker has followed") { try connections("NORMAL") == 0 }
    await locker.close()
  }

  /// Whether a locker's locks are at a server.
  private static func locks(_ locker: Locker, at server: RedisServer) async throws -> Bool {
    guard let lock = try await locker.acquireIfAvailable(uniqueKey()) else { return false }
    let isThere = try server.hasKey(lock.keys[0])
    _ = try await lock.release()
    return isThere
  }

  @Test("Most sentinels decide, though a few answer faster, at the login as well as later")
  func slowMajority() async throws {
    let next = try RedisServer(listen: .tcp)
    let sentinels = try (0..<3).map { _ in try FakeSentinel(.port(port)) }
    defer {
      next.stop()
      for sentinel in sentinels { sentinel.stop() }
    }
    let url = FakeSentinel.url(sentinels.map(\.port), query: "connect_timeout=10s")
    let locker = try await Locker(url: url)
    await eventually("all are watched") { sentinels.allSatisfy { $0.watches.count == 1 } }
    for sentinel in sentinels[1...] {
      // Longer than others are waited for behind an answer that counts.
      sentinel.answer(after: .milliseconds(400))
      sentinel.name(.port(next.port ?? 0))
    }
    let late = try await Locker(url: url)
    #expect(try await late.acquireIfAvailable(uniqueKey())?.release() == .released)
    #expect(try RedisClient(next)("DBSIZE").integer ?? 0 > 0)
    await eventually(within: .seconds(20), "the other has followed") {
      try await Self.locks(locker, at: next)
    }
    await late.close()
    await locker.close()
  }

  @Test("A server that denied that it is the primary is used once it is, without any message")
  func denialEnds() async throws {
    let next = try RedisServer(listen: .tcp)
    let lagging = try FakeSentinel(.port(port, epoch: 1))
    let informed = try (0..<2).map { _ in try FakeSentinel(.port(next.port ?? 0, epoch: 2)) }
    defer {
      next.stop()
      for sentinel in informed + [lagging] { sentinel.stop() }
    }
    try RedisClient(next)("REPLICAOF", "127.0.0.1", "\(port)")
    let locker = try await Locker(url: FakeSentinel.url((informed + [lagging]).map(\.port)))
    let lock = try await locker.acquire(uniqueKey())
    #expect(try RedisServer.current.hasKey(lock.keys[0]))
    #expect(try await lock.release() == .released)
    try RedisClient(next)("REPLICAOF", "NO", "ONE")
    await eventually(within: .seconds(20), "the locker has followed") {
      try await Self.locks(locker, at: next)
    }
    await locker.close()
  }

  @Test("A change that was told and never confirmed stops the locker for a while only")
  func toldInVain() async throws {
    let sentinel = try FakeSentinel(.port(port, epoch: 1))
    defer { sentinel.stop() }
    let dead = [try freeTCPPort(), try freeTCPPort()]
    let locker = try await Locker(url: FakeSentinel.url([sentinel.port] + dead))
    await eventually("it is watched") { sentinel.watches.count == 1 }
    sentinel.tellChange(to: dead[0])
    await eventually("the locker has heard of it") {
      do {
        _ = try await locker.acquireIfAvailable(uniqueKey())?.release()
        return false
      } catch {
        return true
      }
    }
    let lock = try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .seconds(30)))
    #expect(try RedisServer.current.hasKey(lock.keys[0]))
    #expect(try await lock.release() == .released)
    await locker.close()
  }

  @Test("A sentinel that hangs up again and again does not make the others busy")
  func hangingUp() async throws {
    let lagging = try FakeSentinel(.port(try freeTCPPort(), epoch: 1))
    let other = try FakeSentinel(.port(port, epoch: 2))
    defer {
      lagging.stop()
      other.stop()
    }
    let locker = try await Locker(url: FakeSentinel.url([lagging.port, other.port]))
    await eventually("both are watched") {
      lagging.watches.count == 1 && other.watches.count == 1
    }
    let (start, count) = (ContinuousClock.now, other.questionCount)
    for _ in 0..<30 {
      let former = lagging.watches
      lagging.hangUpOnWatches()
      await eventually("it is watched again") {
        lagging.watches.count == 1 && lagging.watches != former
      }
    }
    let passed = start.duration(to: .now)
    // One each second, and one that may have been due.
    #expect(.seconds(other.questionCount - count - 2) <= passed)
    await locker.close()
  }
}
