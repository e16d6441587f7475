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

    // All of them are asked again, since each may be the only one that has heard of a failover.
    let counts = liars.map(\.questionCount)
    try RedisClient(.current)("CLIENT", "KILL", "TYPE", "normal")
    #expect(try await lock.release() == .released)
    await eventually("all are asked") {
      zip(liars.map(\.questionCount), counts).allSatisfy { $0 > $1 }
    }
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
      "+sentinel|get-master-addr-by-name", "+sentinel|master", "+subscribe", "+ping",
      "+client|setname", "&+switch-master", "&+promoted-slave",
    ])
    var configuration = try LockerConfiguration(url: FakeSentinel.url([sentinel.port]))
    (configuration.sentinelUsername, configuration.sentinelPassword) = ("locker", "pw")
    let locker = try await Locker(configuration: configuration)
    await eventually("the change is watched") {
      let lines = try client("CLIENT", "LIST").string?.split(separator: "\n") ?? []
      return lines.contains { $0.contains(" user=locker ") && $0.contains(" sub=2 ") }
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
    "The sentinel that knows of the latest failover is believed, in whichever order they are named",
    arguments: [true, false])
  func lagging(isFirst: Bool) async throws {
    let old = try RedisServer(listen: .tcp)
    let lagging = try FakeSentinel(.port(old.port ?? 0, epoch: 9))
    let informed = try FakeSentinel(.port(port, epoch: 10))
    defer {
      old.stop()
      lagging.stop()
      informed.stop()
    }
    let ports = isFirst ? [lagging.port, informed.port] : [informed.port, lagging.port]
    let locker = try await Locker(url: FakeSentinel.url(ports))
    let lock = try await locker.acquire(uniqueKey())
    #expect(try RedisServer.current.hasKey(lock.keys[0]))
    await eventually("both are watched") {
      lagging.watches.count == 1 && informed.watches.count == 1
    }
    // What the one that lags answers to the watch, or tells of an earlier failover, leads to no other server for long.
    lagging.tellChange(to: old.port ?? 0)
    #expect(try await lock.release() == .released)
    let next = try await locker.acquire(uniqueKey())
    #expect(try RedisServer.current.hasKey(next.keys[0]))
    #expect(try RedisClient(old)("DBSIZE").integer == 0)
    await locker.close()
  }

  @Test("If the server of the latest failover says that it is no primary, an earlier one is used")
  func refuted() async throws {
    let replica = try RedisServer(listen: .tcp)
    let leftOver = try FakeSentinel(.port(replica.port ?? 0, epoch: 40))
    let good = try FakeSentinel(.port(port, epoch: 3))
    defer {
      replica.stop()
      leftOver.stop()
      good.stop()
    }
    try RedisClient(replica)("REPLICAOF", "127.0.0.1", "\(port)")
    let locker = try await Locker(url: FakeSentinel.url([leftOver.port, good.port]))
    let lock = try await locker.acquire(uniqueKey())
    #expect(try RedisServer.current.hasKey(lock.keys[0]))
    #expect(try await lock.release() == .released)
    await locker.close()
  }

  @Test("When the leader of a failover has promoted a replica, the locker goes there at once")
  func promotion() async throws {
    let next = try RedisServer(listen: .tcp)
    let sentinel = try FakeSentinel(.port(port, epoch: 1))
    defer {
      next.stop()
      sentinel.stop()
    }
    let locker = try await Locker(url: FakeSentinel.url([sentinel.port]))
    await eventually("the sentinel is watched") { sentinel.watches.count == 1 }
    sentinel.name(.port(next.port ?? 0, epoch: 2))
    sentinel.tellPromotion(of: next.port ?? 0)
    await eventually("the new primary is asked") {
      _ = try await locker.acquireIfAvailable(uniqueKey())?.release()
      return try RedisClient(next)("DBSIZE").integer ?? 0 > 0
    }
    await locker.close()
  }

  @Test(
    "A login that is under way when a change is told is given up, and its server gets no request")
  func duringLogin() async throws {
    // It accepts connections and is silent, as a server that is stopped; then it answers what has come meanwhile.
    let stopped = try RedisServer(listen: .tcp)
    let sentinel = try FakeSentinel(.port(port, epoch: 1))
    defer {
      stopped.stop()
      sentinel.stop()
    }
    let locker = try await Locker(
      url: FakeSentinel.url([sentinel.port], query: "connect_timeout=60s&operation_timeout=60s"))
    await eventually("the sentinel is watched") { sentinel.watches.count == 1 }
    stopped.pause()
    sentinel.name(.port(stopped.port ?? 0, epoch: 2))
    let count = sentinel.questionCount
    sentinel.tellChange(to: stopped.port ?? 0)
    let acquisition = Task {
      try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .seconds(60)))
    }
    await eventually("the locker has asked where to go") { sentinel.questionCount > count }
    sentinel.name(.port(port, epoch: 3))
    sentinel.tellChange(to: port)
    let lock = try await acquisition.value
    stopped.resume()
    #expect(try RedisServer.current.hasKey(lock.keys[0]))
    #expect(try await lock.release() == .released)
    await locker.close()
    #expect(try !stopped.hasKey(lock.keys[0]))
  }

  @Test("A change that was told is waited for, though the sentinel that told of it is slow")
  func toldBySlowSentinel() async throws {
    let next = try RedisServer(listen: .tcp)
    let (lagging, informed) = (
      try FakeSentinel(.port(port, epoch: 1)), try FakeSentinel(.port(port, epoch: 1))
    )
    defer {
      next.stop()
      lagging.stop()
      informed.stop()
    }
    let locker = try await Locker(
      url: FakeSentinel.url([lagging.port, informed.port], query: "connect_timeout=10s"))
    await eventually("both are watched") {
      lagging.watches.count == 1 && informed.watches.count == 1
    }
    // Longer than others are waited for if there is no such news.
    informed.answer(after: .milliseconds(400))
    informed.name(.port(next.port ?? 0, epoch: 2))
    informed.tellChange(to: next.port ?? 0)
    await eventually("the locker has left") {
      try RedisClient(.current)("CLIENT", "LIST", "TYPE", "NORMAL").string?
        .contains("name=async-redis-lock") == false
    }
    let lock = try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .seconds(30)))
    #expect(try next.hasKey(lock.keys[0]))
    #expect(try await lock.release() == .released)
    await locker.close()
  }

  @Test("Sentinels that are set up anew tell of no change, and are asked")
  func setUpAnew() async throws {
    let next = try RedisServer(listen: .tcp)
    let sentinels = try (0..<3).map { _ in try FakeSentinel(.port(port, epoch: 5)) }
    defer {
      next.stop()
      for sentinel in sentinels { sentinel.stop() }
    }
    let locker = try await Locker(url: FakeSentinel.url(sentinels.map(\.port)))
    await eventually("all are watched") { sentinels.allSatisfy { $0.watches.count == 1 } }
    for sentinel in sentinels { sentinel.name(.port(next.port ?? 0, epoch: 0)) }
    await eventually(within: .seconds(20), "the new primary is asked") {
      _ = try await locker.acquireIfAvailable(uniqueKey())?.release()
      return try RedisClient(next)("DBSIZE").integer ?? 0 > 0
    }
    await locker.close()
  }

  @Test("Sentinels that come back and name another primary are believed together, and not alone")
  func comeBack() async throws {
    let next = try RedisServer(listen: .tcp)
    let sentinels = try (0..<3).map { _ in try FakeSentinel(.port(port, epoch: 5)) }
    defer {
      next.stop()
      for sentinel in sentinels { sentinel.stop() }
    }
    let locker = try await Locker(url: FakeSentinel.url(sentinels.map(\.port)))
    await eventually("all are watched") { sentinels.allSatisfy { $0.watches.count == 1 } }
    for (number, sentinel) in sentinels.enumerated() {
      let former = sentinel.watches
      sentinel.name(.port(next.port ?? 0, epoch: 1))
      sentinel.hangUpOnWatches()
      await eventually("it is watched again") {
        sentinel.watches.count == 1 && sentinel.watches != former
      }
      guard number == 0 else { continue }
      let lock = try await locker.acquire(uniqueKey())
      #expect(try RedisServer.current.hasKey(lock.keys[0]))
      #expect(try await lock.release() == .released)
    }
    await eventually("the new primary is asked") {
      _ = try await locker.acquireIfAvailable(uniqueKey())?.release()
      return try RedisClient(next)("DBSIZE").integer ?? 0 > 0
    }
    await locker.close()
  }

  @Test(
    "All sentinels are watched: when one dies or falls silent, another tells of the change",
    arguments: [true, false])
  func allWatched(dies: Bool) async throws {
    let next = try RedisServer(listen: .tcp)
    let first = try FakeSentinel(.port(port))
    let second = try FakeSentinel(.port(port))
    let link = try ReplicationLink(to: first.port)
    defer {
      next.stop()
      link.stop()
      first.stop()
      second.stop()
    }
    let locker = try await Locker(
      url: FakeSentinel.url([try #require(Int(link.port)), second.port]))
    await eventually("both are watched") {
      first.watches.count == 1 && second.watches.count == 1
    }
    if dies { first.stop() } else { link.fallSilent() }
    second.name(.port(next.port ?? 0, epoch: 1))
    second.tellChange(to: next.port ?? 0)
    // Nothing else leads there.
    await eventually("the new primary is asked") {
      _ = try await locker.acquireIfAvailable(uniqueKey())?.release()
      return try RedisClient(next)("DBSIZE").integer ?? 0 > 0
    }
    await locker.close()
  }

  @Test("A sentinel that was away is watched again")
  func watchedAgain() async throws {
    let sentinel = try FakeSentinel(.port(port))
    defer { sentinel.stop() }
    let locker = try await Locker(url: FakeSentinel.url([sentinel.port]))
    await eventually("it is watched") { sentinel.watches.count == 1 }
    let former = sentinel.watches
    sentinel.hangUpOnWatches()
    await eventually("it is watched again") {
      sentinel.watches.count == 1 && sentinel.watches != former
    }
    await locker.close()
  }

  private func connections(of name: String, on server: RedisServer) throws -> Int {
    let list = try RedisClient(server)("CLIENT", "LIST").string ?? ""
    return list.split(separator: "\n").count { $0.contains(" name=\(name) ") }
  }
}
