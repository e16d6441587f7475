import AsyncRedisLock
import Foundation
import PrivateRedis
import Testing

@Suite("Access to a server", .timeLimit(.minutes(2)))
struct AccessTests {
  // MARK: Addresses

  @Test("A locker connects over a Unix socket, TCP and a name", .redisServer(listen: .tcp))
  func addresses() async throws {
    let port = try #require(RedisServer.current.port)
    let unix = try RedisServer()
    defer { unix.stop() }
    for url in ["redis://127.0.0.1:\(port)", "redis://localhost:\(port)", unix.url] {
      try await Locker(url: url).acquire(uniqueKey()).release()
    }
  }

  @Test(
    "A locker connects to an address of IPv6",
    .enabled("This machine has no IPv6.") { Self.hasIPv6 },
    .redisServer("--bind", "127.0.0.1", "::1", listen: .tcp))
  func ipv6() async throws {
    let port = try #require(RedisServer.current.port)
    let key = uniqueKey()
    let lock = try await Locker(url: "redis://[::1]:\(port)").acquire(key)
    #expect(try RedisClient(.current)("CLIENT", "LIST").string?.contains("addr=[::1]:") == true)
    #expect(try await lock.release() == .released)
  }

  private static var hasIPv6: Bool {
    #if os(Linux)
      let addresses = try? String(contentsOfFile: "/proc/net/if_inet6", encoding: .utf8)
      return addresses?.contains("00000000000000000000000000000001") == true
    #else
      return true
    #endif
  }

  @Test("A locker names its connection, also after a reconnect", .redisServer())
  func clientName() async throws {
    let admin = RedisClient(.current)
    let locker = try await Locker { $0.clientName = "billing" }
    for _ in 0..<2 {
      try await locker.acquire(uniqueKey()).release()
      let list = try admin("CLIENT", "LIST").string ?? ""
      #expect(list.split(separator: "\n").count { $0.contains(" name=billing ") } == 1)
      try admin("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    }
  }

  @Test("A locker uses the right database, also after a reconnect", .redisServer())
  func database() async throws {
    let client = RedisClient(.current)
    try client("SELECT", "3")
    let locker = try await Locker(url: RedisServer.current.url + "?db=3")
    for _ in 0..<2 {
      let key = uniqueKey()
      let lock = try await locker.acquire(key)
      #expect(try client("GET", key).string == lock.token)
      #expect(try client("EXISTS", "redis-lock:fence") == .integer(1))
      #expect(try await lock.release() == .released)
      try client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    }
  }

  // MARK: Passwords

  @Test(
    "If a password is needed but missing, connecting fails at once and says so",
    .redisServer("--requirepass", "pw"))
  func noPassword() async {
    for isFencingEnabled in [true, false] {
      let attempt = await Attempt {
        try await Locker {
          $0.connectTimeout = .seconds(30)
          $0.username = nil
          $0.password = nil
          $0.isFencingEnabled = isFencingEnabled
        }
      }
      expectRefusal("NOAUTH", attempt)
    }
  }

  @Test(
    "If the password is wrong, connecting fails at once and says so",
    .redisServer("--requirepass", "s3cret"))
  func wrongPassword() async {
    for username in [nil, "default", "nobody"] {
      let attempt = await Attempt {
        try await Locker {
          $0.connectTimeout = .seconds(30)
          $0.username = username
          $0.password = "0pen-sesame"
        }
      }
      expectRefusal("WRONGPASS", attempt)
      #expect(attempt.error.map { "\($0)" }?.contains("0pen-sesame") == false)
    }
  }

  @Test("A server without a password says so, without repeating the one it got", .redisServer())
  func needlessPassword() async {
    let attempt = await Attempt {
      try await Locker {
        $0.connectTimeout = .seconds(30)
        $0.username = nil
        $0.password = "0pen-sesame"
      }
    }
    expectRefusal("ERR", attempt)
    #expect(attempt.error.map { "\($0)" }?.contains("0pen-sesame") == false)
  }

  private func expectRefusal(
    _ code: String, _ attempt: Attempt<Locker>, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(attempt.error?.code == .refused, sourceLocation: sourceLocation)
    #expect(attempt.error?.serverCode == code, sourceLocation: sourceLocation)
    #expect(attempt.error?.phase == .connect, sourceLocation: sourceLocation)
    #expect(attempt.error?.isRetryable == false, sourceLocation: sourceLocation)
    #expect(attempt.duration < .inTime, sourceLocation: sourceLocation)
  }

  @Test(
    "With the right password, a locker connects and reconnects",
    .redisServer("--requirepass", "s3cret p%40ss"))
  func rightPassword() async throws {
    let admin = RedisClient(.current)
    try admin("AUTH", "s3cret p%40ss")
    try admin("ACL", "SETUSER", "billing", "on", ">other", "~*", "&*", "+@all")
    for username in [nil, "default", "billing"] {
      let locker = try await Locker {
        $0.username = username
        $0.password = username == "billing" ? "other" : "s3cret p%40ss"
      }
      try await locker.acquire(uniqueKey()).release()
      try admin("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      try await locker.acquire(uniqueKey()).release()
    }
  }

  @Test("If a locker's password is revoked, its next call fails at once", .redisServer())
  func revoked() async throws {
    let admin = RedisClient(.current)
    try admin("ACL", "SETUSER", "billing", "on", ">pw", "~*", "&*", "+@all")
    let locker = try await Locker {
      $0.username = "billing"
      $0.password = "pw"
    }
    let lock = try await locker.acquire(
      uniqueKey(), options: LockOptions(ttl: .milliseconds(500), extend: .milliseconds(100)))
    try admin("ACL", "DELUSER", "billing")
    let attempt = await Attempt {
      try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .seconds(30)))
    }
    #expect(attempt.error?.code == .refused)
    #expect(attempt.error?.serverCode == "WRONGPASS")
    #expect(attempt.duration < .inTime)
    try await lock.waitUntilLost()
    #expect(lock.lossReason == .expired)
  }
}
