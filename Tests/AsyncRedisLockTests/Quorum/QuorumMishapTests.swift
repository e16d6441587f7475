import FaultProxy
import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("Mishaps of a quorum", .timeLimit(.minutes(4)))
struct QuorumMishapTests {
  private static let options = LockOptions(
    timeout: .seconds(20), ttl: .seconds(3), extend: .milliseconds(300))

  /// A server that answers late, or not at all.
  private func proxy(
    _ server: RedisServer, _ fault: @escaping @Sendable () -> Fault
  ) throws -> FaultProxy {
    let proxy = try FaultProxy(to: server)
    proxy.setScript { $0.direction == .replies ? fault() : .forward }
    return proxy
  }

  @Test("A slow server holds up no call, and what it does late is given back")
  func slow() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let isSlow = Shared(false)
    let proxy = try proxy(quorum.servers[1]) {
      isSlow.value ? .delay(.milliseconds(700)) : .forward
    }
    defer { proxy.stop() }
    let locker = try await quorum.locker(through: [1: proxy.url]) {
      $0.operationTimeout = .seconds(5)
    }
    try await locker.ping()
    isSlow.value = true
    let key = uniqueKey()
    for _ in 0..<3 {
      let attempt = await Attempt {
        let lock = try await locker.acquire(key, options: Self.options)
        return try await lock.release()
      }
      #expect(attempt.value == .released)
      #expect(attempt.duration < .milliseconds(600))
    }
    await quorum.expectFree(key)
    await locker.close()
    await quorum.expectFree(key)
  }

  @Test("An attempt that fails is undone on every server, also where only the answer was lost")
  func undone() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let isDeaf = Shared(false)
    let proxies = try (0..<2).map { index in
      try proxy(quorum.servers[index]) { isDeaf.value ? .swallow : .forward }
    }
    defer { for proxy in proxies { proxy.stop() } }
    let locker = try await quorum.locker(through: [0: proxies[0].url, 1: proxies[1].url]) {
      $0.operationTimeout = .milliseconds(300)
    }
    let lost = uniqueKey("lost")
    isDeaf.value = true
    let attempt = await Attempt { try await locker.acquireIfAvailable(lost) }
    #expect(attempt.error?.code == .unreachable)
    isDeaf.value = false
    // Long before the ttl ends.
    await quorum.expectFree(lost, within: .milliseconds(2500))

    await locker.close()

    // A busy machine may take longer than 300 ms to connect again.
    let patient = try await quorum.locker()
    let held = uniqueKey("held")
    for server in quorum.servers[..<2] { try RedisClient(server)("SET", held, "foreign") }
    #expect(try await patient.acquireIfAvailable(held) == nil)
    await eventually(within: .milliseconds(2500), "the third server has it no more") {
      try quorum.values(of: held) == ["foreign", "foreign", nil]
    }
    await patient.close()
  }

  @Test(
    "If requests reach all servers after their connections were given up, and the undos behind them do not, nothing stays"
  )
  func slowEverywhere() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    // The numbers of the first connections that are not slow.
    let limits = quorum.servers.map { _ in Shared(0) }
    let proxies = try zip(quorum.servers, limits).map { server, limit in
      let proxy = try FaultProxy(to: server)
      proxy.setScript { message in
        guard message.direction == .requests, message.connection < limit.value else {
          return .forward
        }
        switch message.command?.name {
        case "SET": return .delay(.milliseconds(1200))
        case "EVAL", "EVALSHA": return .swallow
        default: return .forward
        }
      }
      return proxy
    }
    defer { for proxy in proxies { proxy.stop() } }
    let urls = Dictionary(uniqueKeysWithValues: proxies.map(\.url).enumerated().map { ($0, $1) })
    let locker = try await quorum.locker(through: urls) {
      $0.operationTimeout = .milliseconds(300)
    }
    await eventually {
      try await locker.ping()
      return true
    }
    let key = uniqueKey()
    for (limit, proxy) in zip(limits, proxies) { limit.value = proxy.connectionCount }
    let attempt = await Attempt {
      try await locker.acquireIfAvailable(key, options: LockOptions(ttl: .seconds(60)))
    }
    #expect(attempt.error?.code == .unreachable, "\(attempt)")
    await eventually("each server gets the request late") {
      try quorum.servers.allSatisfy { server in
        try RedisClient(server)("INFO", "commandstats").string?.contains("cmdstat_getrange:")
          == true
      }
    }
    // Long before the ttl ends.
    await quorum.expectFree(key, within: .seconds(20))
    await locker.close()
  }

  @Test("A task that is cancelled while a majority is silent leaves nothing on any server")
  func cancelled() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let locker = try await quorum.locker { $0.operationTimeout = .seconds(20) }
    let key = uniqueKey()
    for server in quorum.servers[1...] { server.pause() }
    let task = Task { try await locker.acquire(key, options: Self.options) }
    await eventually { try quorum.servers[0].hasKey(key) }
    task.cancel()
    let attempt = await Attempt { try await task.value }
    #expect(attempt.duration < .inTime)
    #expect(throws: CancellationError.self) { try attempt.result.get() }
    for server in quorum.servers[1...] { server.resume() }
    await quorum.expectFree(key, within: .milliseconds(2500))
    await locker.close()
  }

  @Test("The record of a run gets to a majority though one server refuses it")
  func recorded() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let locker = try await quorum.locker { $0.operationTimeout = .seconds(20) }
    let lock = try await locker.acquire(
      uniqueKey(), options: LockOptions(ttl: .seconds(60), extend: nil))
    let record = "redis-lock:record:{\(lock.keys[0])}"
    // Its script refuses a key of another type.
    try RedisClient(quorum.servers[0])("SET", record, "foreign")
    try RedisClient(quorum.servers[0])("CONFIG", "RESETSTAT")
    quorum.servers[2].pause()
    let task = Task { try await locker.record(lock, held: .zero, keptFor: .seconds(60)) }
    await eventually("one has refused it, and another one has it") {
      try RedisClient(quorum.servers[0])("INFO", "commandstats").string?.contains("cmdstat_hget")
        == true
        && quorum.servers[1].hasKey(record)
    }
    quorum.servers[2].resume()
    try await task.value
    #expect(try await locker.records(of: lock.keys)[0]?.token == lock.token)
    try RedisClient(quorum.servers[1])("SET", record, "foreign")
    // The third one is not waited for: with it, too, no majority would have the record.
    quorum.servers[2].pause()
    let start = ContinuousClock.now
    await expectError(.refused) {
      try await locker.record(lock, held: .zero, keptFor: .seconds(60))
    }
    #expect(start.duration(to: .now) < .seconds(15))
    quorum.servers[2].resume()
    #expect(try await lock.release() == .released)
    await locker.close()
  }

  // MARK: Restarts

  @Test(
    "A lock that is held outlives the restart of one server after the other, and is put back there")
  func repaired() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let locker = try await quorum.locker()
    let lock = try await locker.acquire(uniqueKey(), options: Self.options)
    for server in quorum.servers + quorum.servers[..<1] {
      try server.restart()
      await eventually("the lock is put back") {
        try RedisClient(server)("GET", lock.keys[0]).string == lock.token
      }
    }
    #expect(lock.isHeld)
    #expect(try await lock.release() == .released)
    await quorum.expectFree(lock.keys[0])
    await locker.close()
  }

  @Test(
    "A restarted server gets no new locks until those are over that it has forgotten",
    .enabled("There is no C compiler here.") { ClockShim.isAvailable })
  func restartRule() async throws {
    let shims = [try ClockShim(), try ClockShim(), try ClockShim()]
    let quorum = try QuorumServers(3, environment: shims.map(\.environment))
    defer { quorum.stop() }
    // As if they had been running for an hour.
    for shim in shims { try shim.set(offset: 3600) }
    let (first, second) = (
      try await quorum.locker(restartDelay: .seconds(30)),
      try await quorum.locker(restartDelay: .seconds(30))
    )
    let key = uniqueKey()
    let unextended = LockOptions(timeout: .seconds(10), ttl: .seconds(20), extend: nil)
    // The third server never knows of the lock, and the second forgets it.
    let third = RedisClient(quorum.servers[2])
    try third("SET", key, "foreign")
    let lock = try await first.acquire(key, options: unextended)
    await eventually("the third has refused the key") {
      try third("INFO", "commandstats").string?.contains("cmdstat_getrange:") == true
    }
    try third("DEL", key)
    try quorum.servers[1].restart()
    #expect(try quorum.values(of: key) == [lock.token, nil, nil])
    let attempt = await Attempt {
      try await second.acquire(key, options: LockOptions(timeout: .seconds(2)))
    }
    #expect(lock.isHeld)
    #expect(attempt.error != nil)
    let other = await Attempt { try await second.acquireIfAvailable(uniqueKey("other")) }
    #expect(other.error == nil, "the two that may be asked suffice: \(other)")
    quorum.servers[0].kill()
    let told = await Attempt { try await second.acquireIfAvailable(uniqueKey("told")) }
    #expect(told.error?.code == .unreachable)
    #expect(told.error?.message.contains("gets new locks only after 30 s") == true, "\(told)")
    await first.close()
    await second.close()
  }

  @Test("Servers that are said to keep their data and do not let two lockers have a lock")
  func forgetful() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let (first, second) = (try await quorum.locker(), try await quorum.locker())
    let unextended = LockOptions(timeout: .seconds(10), ttl: .seconds(20), extend: nil)
    let lock = try await first.acquire(uniqueKey(), options: unextended)
    await eventually { try quorum.values(of: lock.keys[0]).allSatisfy { $0 != nil } }
    for server in quorum.servers[1...] { try server.restart() }
    let other = try await second.acquire(lock.keys[0], options: Self.options)
    // The price of a wrong setting; only the fencing tokens tell them apart.
    #expect(lock.isHeld && other.isHeld)
    #expect(other.fencingToken ?? 0 > lock.fencingToken ?? .max)
    await first.close()
    await second.close()
  }

  // MARK: Clocks

  @Test(
    "The clock of one server may jump; if those of a majority do, two lockers have the lock",
    .enabled("There is no C compiler here.") { ClockShim.isAvailable })
  func clocks() async throws {
    let shims = [try ClockShim(), try ClockShim()]
    let quorum = try QuorumServers(3, environment: shims.map(\.environment))
    defer { quorum.stop() }
    let (first, second) = (try await quorum.locker(), try await quorum.locker())
    let unextended = LockOptions(timeout: .seconds(10), ttl: .seconds(30), extend: nil)
    let lock = try await first.acquire(uniqueKey(), options: unextended)
    await eventually { try quorum.values(of: lock.keys[0]).allSatisfy { $0 != nil } }
    try shims[0].set(offset: 3600)
    #expect(try quorum.values(of: lock.keys[0])[0] == nil)
    #expect(try await second.acquireIfAvailable(lock.keys[0]) == nil)
    #expect(lock.isHeld)
    try shims[1].set(offset: 3600)
    let other = try await second.acquire(lock.keys[0], options: Self.options)
    #expect(lock.isHeld && other.isHeld)
    #expect(other.fencingToken ?? 0 > lock.fencingToken ?? .max)
    await first.close()
    await second.close()
  }

  // MARK: All of it

  @Test("While one server after the other is killed, stopped or emptied, a lock has one holder")
  func chaos() async throws {
    let quorum = try QuorumServers(3)
    defer { quorum.stop() }
    let delay = Duration.seconds(1)
    let options = LockOptions(
      retry: .milliseconds(20), timeout: .seconds(20), ttl: .milliseconds(900))
    let servers = try quorum.configurations {
      $0.operationTimeout = .milliseconds(400)
      $0.lockOptions = options
    }
    // Freshly started servers get no locks yet.
    var all: [Locker] = []
    for _ in 0..<3 { all.append(try await Locker(quorum: servers, restartDelay: delay)) }
    let (record, key) = (HoldRecord(), uniqueKey())
    let workers = all.enumerated().map { number, locker in
      Task { await record.work(number, on: locker, key, options) }
    }
    func progress(_ comment: Comment) async {
      let count = record.holds.count
      await eventually(within: .seconds(30), comment) { record.holds.count >= count + 5 }
    }
    await progress("there are locks at first")
    for round in 0..<6 {
      let server = quorum.servers[round % 3]
      switch round % 2 {
      case 0: try server.restart()
      default:
        server.pause()
        await progress("there are locks without server \(round % 3)")
        server.resume()
      }
      await progress("there are locks in round \(round)")
      if round % 2 == 0 {
        // One server at a time: until this one counts again.
        await eventually(within: .seconds(10), "the server runs for long enough") {
          let text = try RedisClient(server)("INFO", "server").string ?? ""
          let uptime = text.split(whereSeparator: \.isNewline)
            .first { $0.hasPrefix("uptime_in_seconds:") }?.split(separator: ":").last
          return uptime.flatMap { Int($0) } ?? 0 > 2
        }
      }
    }
    record.stop()
    for worker in workers { await worker.value }
    #expect(record.overlaps.isEmpty, "\(record.overlaps.prefix(3))")
    #expect(record.disorders.isEmpty, "\(record.disorders.prefix(3))")
    for locker in all { await locker.close() }
    await quorum.expectFree(key)
  }
}
