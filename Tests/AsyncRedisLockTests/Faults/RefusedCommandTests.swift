import AsyncRedisLock
import PrivateRedis
import Testing

/// A managed service or an operator may refuse commands that locks can do without, and some that they cannot.
@Suite("A server that refuses a command", .timeLimit(.minutes(3)), .serialized)
struct RefusedCommandTests {
  /// The ways to refuse a command: the server does not know it, or the user may not use it.
  enum Way: CaseIterable { case renamed, forbidden }

  private static func start(without command: String, by way: Way) throws -> RedisServer {
    guard way == .forbidden else {
      return try RedisServer(arguments: ["--rename-command", command, ""])
    }
    let server = try RedisServer()
    _ = try RedisClient(server)("ACL", "SETUSER", "default", "-\(command)")
    return server
  }

  @Test(
    "Locks are taken, extended, waited for and released without a command that they can do without",
    arguments: ["HELLO", "CLIENT", "SCRIPT", "INFO", "PUBSUB", "SUBSCRIBE", "PUBLISH"],
    Way.allCases)
  func dispensable(command: String, way: Way) async throws {
    let server = try Self.start(without: command, by: way)
    defer { server.stop() }
    let options = LockOptions(
      retry: .milliseconds(100), timeout: .seconds(30), ttl: .seconds(2), extend: .milliseconds(200)
    )
    let holder = try await Locker(on: server)
    let waiting = try await Locker(on: server)
    let first = try await holder.acquire("key", options: options)
    let waiter = Task { try await waiting.acquire("key", options: options) }
    var former = first.remaining
    await eventually("it is extended") {
      defer { former = first.remaining }
      return first.remaining > former
    }
    #expect(try await first.release() == .released)
    let second = try await waiter.value
    #expect(second.fencingToken ?? 0 > first.fencingToken ?? .max)
    #expect(try await second.release() == .released)
    let both = try await holder.acquire("key", "other", options: options)
    #expect(try await both.release() == .released)
    #expect(try await waiting.inspect("key") == nil)
    await holder.close()
    await waiting.close()
    #expect(try RedisClient(server)("EXISTS", "key", "other") == .integer(0))
  }

  @Test(
    "Without a command that locks need, an acquisition fails with an error that names it",
    arguments: ["SET", "INCR", "EVAL"], Way.allCases)
  func indispensable(command: String, way: Way) async throws {
    let server = try Self.start(without: command, by: way)
    defer { server.stop() }
    let attempt = await Attempt {
      try await Locker(on: server).acquire("key", options: LockOptions(ttl: .seconds(600)))
    }
    #expect(attempt.error?.code == .refused)
    #expect(attempt.error?.isRetryable == false)
    #expect(
      attempt.error?.message.uppercased().contains(command) == true,
      "\(String(describing: attempt.error))")
    await eventually("no key stays") { try RedisClient(server)("EXISTS", "key") == .integer(0) }
  }

  @Test(
    "Without EVALSHA, at most one lock is taken before acquisitions fail with an error that names it",
    arguments: Way.allCases)
  func noDigests(way: Way) async throws {
    let server = try Self.start(without: "EVALSHA", by: way)
    defer { server.stop() }
    let locker = try await Locker(on: server)
    let lock = try await locker.acquire("key", options: LockOptions(ttl: .seconds(600)))
    let release = await Attempt { try await lock.release() }
    #expect(release.error?.code == .refused)
    let next = await Attempt {
      try await locker.acquire("next", options: LockOptions(ttl: .seconds(600)))
    }
    #expect(next.error?.code == .refused)
    #expect(next.error?.message.uppercased().contains("EVALSHA") == true)
    #expect(try RedisClient(server)("EXISTS", "next") == .integer(0))
  }

  @Test("Once the server runs scripts again, locks are taken on the same connection")
  func mended() async throws {
    let server = try Self.start(without: "EVAL", by: .forbidden)
    defer { server.stop() }
    let locker = try await Locker(on: server)
    let refused = await Attempt { try await locker.acquire("key") }
    #expect(refused.error?.code == .refused)
    _ = try RedisClient(server)("ACL", "SETUSER", "default", "+eval")
    for _ in 0..<2 {
      let lock = try await locker.acquire("key")
      #expect(try await lock.release() == .released)
    }
  }
}
