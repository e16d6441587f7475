import AsyncRedisLock
import FaultProxy
import Foundation
import PrivateRedis
import Testing

/// Each test has a server of its own, since it counts and kills connections.
@Suite("A waiter that cannot be told of grants", .timeLimit(.minutes(2)))
struct DeadWaiterTests {
  @Test("A waiter whose inbox was cut off subscribes again and gets the lock", .redisServer())
  func inboxKilled() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let client = RedisClient(server)
    let lockers = try await makeLockers(2)
    for _ in 0..<10 {
      let first = try await lockers[0].acquire(key, options: .patient)
      let waiting = try await queueUp(lockers[1], for: key)
      let token = try server.queue(of: key).first
      #expect(try client("CLIENT", "KILL", "TYPE", "pubsub").integer ?? 0 > 0)
      // Sometimes the inbox is back by now, and sometimes the waiter has to find the free key by a poll.
      let start = ContinuousClock.now
      try await first.release()
      let second = try await expectPromptly(waiting, within: .seconds(3), since: start)
      #expect(second.token == token)
      try await second.release()
    }
    await expectNothingLeft(key)
  }

  @Test("A waiter whose inbox is cut off repeatedly listens again within moments", .redisServer())
  func inboxKilledOften() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(3)
    let first = try await lockers[0].acquire(key, options: .patient)
    let second = try await queueUp(lockers[1], for: key)
    let third = try await queueUp(lockers[2], for: key)
    for _ in 0..<60 {
      try RedisClient(server)("CLIENT", "KILL", "TYPE", "pubsub")
      await eventually(within: .seconds(2), "both listen") { try server.inboxes().count == 2 }
    }
    #expect(try server.waitingLabels(of: key) == ["locker-1", "locker-2"])
    try await first.release()
    try await expectPromptly(second).release()
    try await expectPromptly(third).release()
    await expectNothingLeft(key)
  }

  @Test(
    "A waiter whose inbox died unnoticed moves it as soon as a poll is not heard", .redisServer())
  func inboxDiesUnnoticed() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let (proxy, isCutOff) = (try FaultProxy(to: server), Shared(false))
    defer { proxy.stop() }
    let (holder, waiter) = (try await Locker(on: server), try await Locker(url: proxy.url))
    let options = LockOptions(
      timeout: .seconds(30), ttl: .milliseconds(1500), extend: .milliseconds(500))
    let first = try await holder.acquire(key, options: options)
    let waiting = try await queueUp(waiter, for: key, options: options)
    // From this message on, nothing passes on the inbox's connection, not even its end.
    let (inbox, text) = (try #require(try server.inboxes().first), "the last message")
    proxy.setScript { message in
      guard message.direction == .replies,
        String(decoding: message.bytes, as: UTF8.self).contains(text)
      else { return .forward }
      isCutOff.value = true
      return .blackhole(after: 0)
    }
    try RedisClient(server)("PUBLISH", inbox, text)
    await eventually("the inbox is cut off") { isCutOff.value }
    try RedisClient(server)("CLIENT", "KILL", "TYPE", "pubsub")
    #expect(try server.inboxes().isEmpty)
    // A PING on the inbox would be sent after 5 s only.
    await eventually(within: .seconds(5), "the inbox is back") {
      try server.inboxes() == [inbox]
    }
    try await first.release()
    try await expectPromptly(waiting).release()
    await expectNothingLeft(key)
  }

  @Test(
    "A waiter learns that it cannot listen as soon as an attempt has failed", .redisServer(),
    .timeLimit(.minutes(1)))
  func cannotListen() async throws {
    let proxy = try FaultProxy(to: .current)
    let locker = try await Locker(url: proxy.url)
    let count = proxy.connectionCount
    proxy.setScript { $0.connection >= count ? .cut(after: 0) : .forward }
    #expect(await !locker.canBeTold())
    proxy.setScript(nil)
    await eventually("it listens") { await locker.canBeTold() }
  }

  @Test(
    "If a poll gets an answer of the wrong type, the waiter undoes it on the same connection",
    .redisServer())
  func wrongAnswer() async throws {
    let key = uniqueKey()
    let proxy = try FaultProxy(to: .current)
    let (holder, waiter) = (try await Locker(), try await Locker(url: proxy.url))
    let lock = try await holder.acquire(key, options: .patient)
    let polled = Shared<(connection: Int, token: String)?>(nil)
    proxy.setScript { message in
      guard message.direction == .replies, let words = message.command?.words,
        words.contains("redis-lock:queue:{\(key)}"), polled.value == nil,
        let token = words.first(where: { $0.hasPrefix("rl1") })
      else { return .forward }
      polled.value = (message.connection, token)
      return .replace(Array(":1\r\n".utf8))
    }
    let waiting = Task { try await waiter.acquire(key, options: .patient) }
    await eventually { polled.value != nil }
    let (connection, token) = try #require(polled.value)
    await eventually("the release script comes behind the poll") {
      let text = String(decoding: proxy.received(.requests, on: connection), as: UTF8.self)
      return text.components(separatedBy: token).count > 2
    }
    await eventually("another waits") {
      let queue = try RedisServer.current.queue(of: key)
      return queue.count == 1 && queue != [token]
    }
    try await lock.release()
    try await expectPromptly(waiting).release()
  }

  @Test(
    "A waiter that does not listen is passed over, keeps its entry, and is next once it listens again",
    .redisServer())
  func passedOver() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let client = RedisClient(server)
    let lockers = try await makeLockers(3)
    let proxy = try FaultProxy(to: server)
    let deaf = try await Locker(url: proxy.url) { $0.label = "deaf" }
    let first = try await lockers[0].acquire(key, options: .patient)
    var options = LockOptions.patient
    options.retry = .milliseconds(100)
    let waiting = try await queueUp(deaf, for: key, options: options)
    let ticket = try client("ZRANGE", "redis-lock:queue:{\(key)}", "0", "0", "WITHSCORES")

    // Existing connections stay, and no new ones are made: only the inbox will be missing.
    let count = proxy.connectionCount
    proxy.setScript { $0.connection >= count ? .cut(after: 0) : .forward }
    try client("CLIENT", "KILL", "TYPE", "pubsub")
    await eventually("it tries to reconnect") { proxy.connectionCount > count }
    #expect(try server.inboxes().isEmpty)
    let second = try await queueUp(lockers[1], for: key)
    let third = try await queueUp(lockers[2], for: key)
    try await first.release()
    let lock = try await expectPromptly(second)
    #expect(
      try client("ZRANGE", "redis-lock:queue:{\(key)}", "0", "0", "WITHSCORES") == ticket)

    proxy.setScript(nil)
    await eventually(within: .seconds(10), "it listens again") {
      try server.inboxes().count == 3
    }
    try await lock.release()
    try await expectPromptly(waiting, within: .seconds(2)).release()
    try await expectPromptly(third).release()
    await expectNothingLeft(key)
  }

  @Test(
    "While its inbox is not connected, a waiter polls within its retry time", .redisServer())
  func pollsInstead() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let holder = try await Locker(on: server)
    let proxy = try FaultProxy(to: server)
    let deaf = try await Locker(url: proxy.url)
    let first = try await holder.acquire(key, options: .patient)
    var options = LockOptions.patient
    options.retry = .milliseconds(200)
    let waiting = try await queueUp(deaf, for: key, options: options)
    let count = proxy.connectionCount
    proxy.setScript { $0.connection >= count ? .cut(after: 0) : .forward }
    try RedisClient(server)("CLIENT", "KILL", "TYPE", "pubsub")
    await eventually("it tries to reconnect") { proxy.connectionCount > count }
    try await first.release()
    #expect(try server.queue(of: key).count == 1 || server.hasKey(key))
    try await expectPromptly(waiting, within: .milliseconds(1200)).release()
    await expectNothingLeft(key)
  }

  @Test("A waiter whose process was killed is skipped at once", .redisServer())
  func processKilled() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(2)
    let first = try await lockers[0].acquire(key, options: .patient)
    let process = try LockTakerProcess(server, "wait", key: key, ttl: 30_000, extend: 10_000)
    await eventually("it waits") { try server.queue(of: key).count == 1 }
    let second = try await queueUp(lockers[1], for: key)
    process.kill()
    await eventually("its inbox is gone") { try server.inboxes().count == 1 }
    let start = ContinuousClock.now
    try await first.release()
    let lock = try await expectPromptly(second, since: start)
    try await lock.release()
    // The dead waiter's entry stays until it lapses, and does not block other waiters.
    #expect(try !server.hasKey(key))
    let third = try await lockers[0].acquire(key, options: .patient)
    try await third.release()
    #expect(try !server.hasKey(key))
  }

  @Test(
    "A waiter in a stopped process costs its ttl, and continues to wait when it resumes",
    .redisServer())
  func processStopped() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let lockers = try await makeLockers(2)
    let first = try await lockers[0].acquire(key, options: .patient)
    let process = try LockTakerProcess(server, "wait", key: key, ttl: 1500, extend: 500)
    await eventually("it waits") { try server.queue(of: key).count == 1 }
    let token = try #require(try server.queue(of: key).first)
    let second = try await queueUp(
      lockers[1], for: key, options: .polling(ttl: .milliseconds(1500)))
    process.stop()
    let start = ContinuousClock.now
    try await first.release()
    #expect(try server.value(of: key) == token)
    let lock = try await expectPromptly(second, within: .seconds(4), since: start)
    #expect(!process.hasSaid("held"), "it was not stopped in time")
    process.signal(SIGCONT)
    await eventually("it waits again") {
      try server.queue(of: key).contains { $0.contains(":\(process.id):") }
    }
    #expect(!process.hasSaid("held"), "it believes a grant that is long over")
    #expect(lock.isHeld)
    try await lock.release()
    await eventually("it gets the lock") { process.hasSaid("held") }
  }

  @Test("If a grant is lost, the waiter finds it by its next poll", .redisServer())
  func lostGrant() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let holder = try await Locker(on: server)
    let proxy = try FaultProxy(to: server)
    let deaf = try await Locker(url: proxy.url)
    let first = try await holder.acquire(key, options: .patient)
    let waiting = try await queueUp(deaf, for: key, options: .polling(ttl: .seconds(3)))
    let token = try #require(try server.queue(of: key).first)
    proxy.setScript { $0.isMessage ? .swallow : .forward }
    let start = ContinuousClock.now
    try await first.release()
    #expect(try server.value(of: key) == token, "the server has granted the key")
    let second = try await expectPromptly(waiting, within: .milliseconds(2500), since: start)
    #expect(second.token == token)
    #expect(second.fencingToken ?? 0 > first.fencingToken ?? .max)
    #expect(second.remaining <= .seconds(3) && second.remaining > .milliseconds(1500))
    try await second.release()
    await expectNothingLeft(key)
  }

  @Test("A waiter ignores a grant that arrives after its end", .redisServer())
  func lateGrant() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let holder = try await Locker(on: server)
    let proxy = try FaultProxy(to: server)
    let deaf = try await Locker(url: proxy.url)
    let first = try await holder.acquire(key, options: .patient)
    let waiting = try await queueUp(deaf, for: key, options: .polling(ttl: .milliseconds(1500)))
    let isDelivered = Shared(false)
    proxy.setScript { chunk in
      guard chunk.isMessage else { return .forward }
      Thread.sleep(forTimeInterval: 1.2)
      isDelivered.value = true
      return .forward
    }
    try await first.release()
    // A poll finds the key half a second later.
    let second = try await expectPromptly(waiting, within: .milliseconds(1100))
    #expect(!isDelivered.value)
    try await second.release()
    let third = try await deaf.acquire(key, options: .polling(ttl: .milliseconds(1500)))
    await eventually("the message has come") { isDelivered.value }
    // An answer on the same connection, a little behind any command that the late grant may have caused.
    try await Task.sleep(for: .milliseconds(100))
    #expect(try await deaf.inspect(key)?.holder.value == third.token)
    #expect(third.isHeld)
    #expect(try await third.release() == .released)
    await expectNothingLeft(key)
  }
}

extension FaultProxy.Message {
  /// Whether it is or contains a published message.
  fileprivate var isMessage: Bool {
    direction == .replies
      && String(decoding: bytes, as: UTF8.self).contains("$7\r\nmessage\r\n")
  }
}
