import AsyncRedisLock
import FaultProxy
import Foundation
import PrivateRedis
import Testing

@Suite("A locker of sentinels", .redisServer(listen: .tcp), .timeLimit(.minutes(2)))
struct SentinelTests {
  private var port: Int { RedisServer.current.port ?? 0 }

  @Test(
    "A locker finds the primary behind sentinels that are dead, silent, hang up, or lie in any way")
  func badSentinels() async throws {
    let replica = try RedisServer(listen: .tcp)
    defer { replica.stop() }
    try RedisClient(replica)("REPLICAOF", "127.0.0.1", "\(port)")
    let ordinary = try RedisServer(listen: .tcp)
    defer { ordinary.stop() }
    let closed = try freeTCPPort()
    let liars: [FakeSentinel] = [
      try FakeSentinel(.silence),
      try FakeSentinel(.port(closed)),
      try FakeSentinel(.port(replica.port ?? 0)),
      try FakeSentinel(.unknown),
      try FakeSentinel(.raw("+OK\r\n")),
      try FakeSentinel(.raw("*2\r\n$1\r\nx\r\n$5\r\n99999\r\n")),
      try FakeSentinel(.raw("*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n")),
      try FakeSentinel(.raw("*2\r\n$12\r\nhost\r\nname!!\r\n$4\r\n6379\r\n")),
      try FakeSentinel(.raw("-ERR something else\r\n")),
      try FakeSentinel(.raw("garbage\r\n")),
    ]
    // A sentinel never names itself; this one would lead to a server of the wrong kind.
    let itself = try FakeSentinel(.unknown)
    itself.name(.port(itself.port))
    let good = try FakeSentinel(.port(port))
    defer { for sentinel in liars + [itself, good] { sentinel.stop() } }
    let ports =
      [closed, ordinary.port ?? 0] + liars.map(\.port) + [itself.port, good.port]
    let locker = try await Locker(
      url: FakeSentinel.url(ports, query: "connect_timeout=10s&operation_timeout=10s"))
    let lock = try await locker.acquire(uniqueKey())
    #expect(try RedisServer.current.hasKey(lock.keys[0]))
    #expect(liars.allSatisfy { $0.questionCount > 0 })

    // From then on, the one that was right is the first to be asked.
    let counts = liars.map(\.questionCount)
    try RedisClient(.current)("CLIENT", "KILL", "TYPE", "normal")
    #expect(try await lock.release() == .released)
    #expect(liars.map(\.questionCount) == counts)
    #expect(good.questionCount > 1)
    await locker.close()
  }

  @Test("A sentinel in place of a server is refused, and the error names the scheme")
  func sentinelAsServer() async throws {
    let sentinel = try SentinelServer(configuration: [])
    defer { sentinel.stop() }
    let attempt = await Attempt { try await Locker(url: "redis://127.0.0.1:\(sentinel.port)") }
    #expect(attempt.error?.code == .refused)
    #expect(attempt.error?.isRetryable == false)
    #expect(attempt.error?.message.contains("redis+sentinel") == true)
    #expect(attempt.duration < .inTime)
  }

  @Test("If no sentinel knows the primary, the error names it, comes at once and is not retryable")
  func unknownPrimary() async throws {
    let sentinels = [try FakeSentinel(.unknown), try FakeSentinel(.unknown)]
    defer { for sentinel in sentinels { sentinel.stop() } }
    let url = FakeSentinel.url(sentinels.map(\.port), query: "connect_timeout=20s")
    let attempt = await Attempt { try await Locker(url: url) }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.isRetryable == false)
    #expect(attempt.error?.message.contains("\"locks\"") == true)
    #expect(attempt.duration < .inTime)
  }

  @Test("While a sentinel is dead, the others not knowing the primary is no final answer")
  func deadOneMayKnow() async throws {
    let sentinel = try FakeSentinel(.unknown)
    defer { sentinel.stop() }
    let url = FakeSentinel.url(
      [sentinel.port, try freeTCPPort()], query: "connect_timeout=300ms")
    let attempt = await Attempt { try await Locker(url: url) }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.isRetryable == true)
    #expect(attempt.error?.message.contains("does not know") == true)
    #expect(attempt.error?.message.contains("refused") == true)
  }

  @Test(
    "The password of the sentinels is sent to them alone, and the primary's only to the primary")
  func passwords() async throws {
    let server = try RedisServer(arguments: ["--requirepass", "primarypass"], listen: .tcp)
    defer { server.stop() }
    let sentinel = try FakeSentinel(.port(server.port ?? 0), password: "sentinelpass")
    defer { sentinel.stop() }
    var configuration = try LockerConfiguration(url: FakeSentinel.url([sentinel.port]))
    configuration.password = "primarypass"
    configuration.sentinelPassword = "sentinelpass"
    let locker = try await Locker(configuration: configuration)
    await eventually("the change is watched") { sentinel.watches.count == 1 }
    await locker.close()
  }

  @Test(
    "A sentinel's refusal is told without the password",
    arguments: [nil, "hunter2"] as [Password?])
  func refusal(_ password: Password?) async throws {
    let sentinel = try FakeSentinel(.port(port), password: "another")
    defer { sentinel.stop() }
    var configuration = try LockerConfiguration(url: FakeSentinel.url([sentinel.port]))
    configuration.sentinelPassword = password
    configuration.connectTimeout = .milliseconds(500)
    let attempt = await Attempt { try await Locker(configuration: configuration) }
    #expect(attempt.error?.code == .refused)
    #expect(attempt.error?.message.contains("sentinel") == true)
    #expect("\(attempt.result)".contains("hunter2") == false)
  }

  @Test("A sentinel's user with the documented permissions is enough, also for the watch")
  func permissions() async throws {
    let sentinel = try SentinelServer(configuration: ["sentinel monitor locks 127.0.0.1 \(port) 1"])
    defer { sentinel.stop() }
    let client = try sentinel.client()
    try client(words: [
      "ACL", "SETUSER", "locker", "on", ">pw", "resetkeys", "resetchannels", "nocommands",
      "+sentinel|get-master-addr-by-name", "+subscribe", "+ping", "+client|setname",
      "&+switch-master",
    ])
    var configuration = try LockerConfiguration(url: FakeSentinel.url([sentinel.port]))
    (configuration.sentinelUsername, configuration.sentinelPassword) = ("locker", "pw")
    let locker = try await Locker(configuration: configuration)
    await eventually("the change is watched") {
      let lines = try client("CLIENT", "LIST").string?.split(separator: "\n") ?? []
      return lines.contains { $0.contains(" user=locker ") && $0.contains(" sub=1 ") }
    }
    await locker.close()
  }

  @Test("When a sentinel tells of a change, the connection and the inbox go to the new primary")
  func change() async throws {
    let next = try RedisServer(listen: .tcp)
    defer { next.stop() }
    let sentinel = try FakeSentinel(.port(port))
    defer { sentinel.stop() }
    let name = uniqueKey("client")
    let url = FakeSentinel.url([sentinel.port], query: "client_name=\(name)")
    let (locker, rival) = (try await Locker(url: url), try await Locker(url: url))
    let key = uniqueKey()
    let options = LockOptions(timeout: .seconds(60), ttl: .seconds(3), extend: .milliseconds(500))
    let held = try await rival.acquire(key, options: options)
    let waiting = Task { try await locker.acquire(key, options: options) }
    await eventually("all are connected") {
      try connections(of: name, on: .current) == 3 && sentinel.watches.count == 2
    }
    // A message about another primary means nothing.
    sentinel.tellChange(to: next.port ?? 0, of: "other")
    sentinel.name(.port(next.port ?? 0))
    sentinel.tellChange(to: next.port ?? 0)
    await eventually("none is connected to the former one") {
      try connections(of: name, on: .current) == 0
    }
    // The new one knows nothing of the lock, which its holder learns at the next extension.
    let lock = try await waiting.value
    #expect(try next.hasKey(key))
    await eventually("the inbox is there") { try connections(of: name, on: next) >= 2 }
    try await held.waitUntilLost()
    #expect(held.lossReason == .takenByAnother)
    #expect(lock.fencingToken ?? 0 > held.fencingToken ?? .max)
    #expect(try await lock.release() == .released)
    await locker.close()
    await rival.close()
  }

  @Test(
    "When the watched sentinel dies or falls silent, another is watched", arguments: [true, false])
  func watchMoves(dies: Bool) async throws {
    let next = try RedisServer(listen: .tcp)
    defer { next.stop() }
    let first = try FakeSentinel(.port(port))
    let second = try FakeSentinel(.port(port))
    let link = try ReplicationLink(to: first.port)
    defer {
      link.stop()
      first.stop()
      second.stop()
    }
    let locker = try await Locker(
      url: FakeSentinel.url([try #require(Int(link.port)), second.port]))
    await eventually("the first is watched") { first.watches.count == 1 }
    #expect(second.watches.isEmpty)
    if dies { first.stop() } else { link.fallSilent() }
    await eventually(within: .seconds(15), "the second is watched") { second.watches.count == 1 }
    second.name(.port(next.port ?? 0))
    second.tellChange(to: next.port ?? 0)
    // Nothing else leads there.
    await eventually("the new primary is asked") {
      _ = try await locker.acquireIfAvailable(uniqueKey())?.release()
      return try RedisClient(next)("DBSIZE").integer ?? 0 > 0
    }
    await locker.close()
  }

  private func connections(of name: String, on server: RedisServer) throws -> Int {
    let list = try RedisClient(server)("CLIENT", "LIST").string ?? ""
    return list.split(separator: "\n").count { $0.contains(" name=\(name) ") }
  }
}
