import AsyncRedisLock
import FaultProxy
import PrivateRedis
import Testing

@Suite("The holding time of a lock", .timeLimit(.minutes(2)), .redisServer())
struct HoldTests {
  let long = LockOptions(timeout: .seconds(10), ttl: .seconds(30), extend: .seconds(10))

  @Test("A lock with minHold is kept for exactly that time, however long its ttl")
  func kept() async throws {
    let (holder, other) = (try await Locker(on: .current), try await Locker(on: .current))
    let client = RedisClient(.current)
    let key = uniqueKey()
    var options = long
    options.minHold = .milliseconds(600)
    let start = ContinuousClock.now
    let lock = try await holder.acquire(key, options: options)
    #expect(try await lock.release() == .released)
    #expect(!lock.isHeld && lock.lossReason == nil)
    let left = try #require(try client("PTTL", key).integer)
    #expect((1...600).contains(left))
    #expect(try await other.acquireIfAvailable(key) == nil)
    let next = try await other.acquire(key, options: long)
    let waited = start.duration(to: .now)
    #expect(waited >= .milliseconds(600))
    #expect(waited < .inTime)
    try await next.release()
  }

  @Test("A lock with minHold is also kept from the next task of the same locker")
  func keptInProcess() async throws {
    let locker = try await Locker(on: .current)
    let key = uniqueKey()
    var options = long
    options.minHold = .milliseconds(400)
    let start = ContinuousClock.now
    let lock = try await locker.acquire(key, options: options)
    let next = Task { [options] in try await locker.acquire(key, options: options) }
    await eventually { try await locker.inspect(key) != nil }
    try await lock.release()
    try await next.value.release()
    #expect(start.duration(to: .now) >= .milliseconds(400))
  }

  @Test("A lock with minHold is kept even if it is dropped or its locker closed")
  func keptWhenClosed() async throws {
    let client = RedisClient(.current)
    let (dropped, closed) = (uniqueKey("dropped"), uniqueKey("closed"))
    var options = long
    options.minHold = .seconds(20)
    let locker = try await Locker(on: .current)
    _ = try await locker.acquire(dropped, options: options)
    let lock = try await locker.acquire(closed, options: options)
    await locker.close()
    #expect(!lock.isHeld)
    for key in [dropped, closed] {
      #expect((1...20_000).contains(try #require(try client("PTTL", key).integer)))
    }
  }

  @Test("A lock with minHold is kept even if the server cannot do that before the release fails")
  func keptLater() async throws {
    let server = try RedisServer()
    defer { server.stop() }
    let client = RedisClient(server)
    let locker = try await Locker(on: server) { $0.operationTimeout = .milliseconds(200) }
    var options = LockOptions(ttl: .seconds(5))
    options.minHold = .seconds(30)
    let lock = try await locker.acquire("key", options: options)
    try client("CONFIG", "SET", "min-replicas-to-write", "1")
    await expectError(.refused) { try await lock.release() }
    try client("CONFIG", "SET", "min-replicas-to-write", "0")
    await eventually("it is kept") { try client("PTTL", "key").integer ?? 0 > 5000 }
  }

  @Test("A refused minimum hold is tried again in time before the keys expire")
  func keptInTime() async throws {
    let server = try RedisServer()
    defer { server.stop() }
    let client = RedisClient(server)
    let locker = try await Locker(on: server) { $0.operationTimeout = .milliseconds(100) }
    // With a second between attempts, none would come in the last 700 ms.
    var options = LockOptions(ttl: .milliseconds(4600), extend: nil)
    options.minHold = .seconds(30)
    let lock = try await locker.acquire("key", options: options)
    try client("CONFIG", "SET", "min-replicas-to-write", "1")
    await expectError(.refused) { try await lock.release() }
    await eventually("it expires soon") { try client("PTTL", "key").integer ?? 0 < 700 }
    try client("CONFIG", "SET", "min-replicas-to-write", "0")
    await eventually("it is kept") { try client("PTTL", "key").integer ?? 0 > 5000 }
  }

  @Test("A refused minimum hold of a lock with a short ttl is tried again in time, too")
  func keptInShortTime() async throws {
    let keeps = Shared<[ContinuousClock.Instant]>([])
    let server = try FakeServer { command, _, _ in
      guard command.words.dropFirst().first == Script.keep.digest else { return nil }
      keeps.value.append(.now)
      return keeps.value.count == 1 ? "-NOREPLICAS not enough good replicas to write.\r\n" : nil
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    var options = LockOptions(ttl: .milliseconds(150), extend: nil)
    options.minHold = .seconds(1)
    _ = try? await locker.acquire("key", options: options).release()
    await eventually("it is tried again") { keeps.value.count > 1 }
    #expect(keeps.value[1] - keeps.value[0] < .milliseconds(50), "the usual pause")
  }

  @Test("A keep that has to wait for a connection keeps the keys for as much less")
  func keptForLess() async throws {
    @Sendable func time(in command: FakeCommand) -> Int? {
      command.words.dropFirst().first == Script.keep.digest ? Int(command.words[5]) : nil
    }
    let server = try FakeServer { command, connection, index in
      if connection == 0 { return time(in: command) == nil ? nil : FakeAnswer(.hangUp) }
      // The next login takes half a second.
      return index == 0 ? .drip("+OK\r\n", every: .milliseconds(100)) : nil
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url) { $0.operationTimeout = .seconds(10) }
    var options = long
    options.minHold = .seconds(20)
    let lock = try await locker.acquire("key", options: options)
    _ = try? await lock.release()
    let times = server.commands.flatMap { $0 }.compactMap(time)
    #expect(times.count == 2 && times[1] <= times[0] - 400, "\(times)")
  }

  @Test("A lock with minHold on several keys keeps those that it still holds")
  func keptInPart() async throws {
    let (locker, client) = (try await Locker(on: .current), RedisClient(.current))
    let keys = [uniqueKey("a"), uniqueKey("b")]
    var options = long
    options.minHold = .seconds(20)
    let lock = try await locker.acquire(keys, options: options)
    _ = try client("SET", keys[1], "theirs")
    #expect(try await lock.release() == .takenByAnother)
    #expect((1...20_000).contains(try #require(try client("PTTL", keys[0]).integer)))
    #expect(try client("GET", keys[1]).string == "theirs")
    #expect(try client("PTTL", keys[1]).integer == -1)
  }

  @Test("A lock with minHold is kept even if its release gets no answer and is called again")
  func keptWhenRepeated() async throws {
    let (client, proxy) = (RedisClient(.current), try FaultProxy(to: .current))
    defer { proxy.stop() }
    let locker = try await Locker(url: proxy.url) { $0.operationTimeout = .milliseconds(200) }
    var options = long
    options.minHold = .seconds(20)
    let lock = try await locker.acquire(uniqueKey(), options: options)
    // The next connection works.
    proxy.setScript { message in
      message.connection == 0 && message.direction == .replies ? .blackhole(after: 0) : .forward
    }
    await #expect(throws: LockError.self) { try await lock.release() }
    await eventually { try await lock.release() == .released }
    #expect(try client("GET", lock.keys[0]).string == lock.token)
    #expect((1...20_000).contains(try #require(try client("PTTL", lock.keys[0]).integer)))
  }

  @Test("A lock whose minHold is over is released at once")
  func over() async throws {
    let locker = try await Locker(on: .current)
    let key = uniqueKey()
    var options = long
    options.minHold = .milliseconds(1)
    let lock = try await locker.acquire(key, options: options)
    try await Task.sleep(for: .milliseconds(2))
    #expect(try await lock.release() == .released)
    #expect(try !RedisServer.current.hasKey(key))
  }

  @Test("A lock is held no longer than maxHold, and its loss reason says so")
  func tooLong() async throws {
    let locker = try await Locker(on: .current)
    let key = uniqueKey()
    let options = LockOptions(
      ttl: .milliseconds(300), extend: .milliseconds(50), maxHold: .milliseconds(700))
    let start = ContinuousClock.now
    let lock = try await locker.acquire(key, options: options)
    try await lock.waitUntilLost()
    let held = start.duration(to: .now)
    #expect(held >= .milliseconds(700))
    #expect(held < .inTime)
    #expect(!lock.isHeld && lock.lossReason == .heldTooLong)
    await expectError(.lost) { try await lock.extend(by: .seconds(1)) }
    // It is no longer extended.
    await eventually { try !RedisServer.current.hasKey(key) }
  }

  @Test("The loss of a lock that is valid until maxHold is noticed with the next extension, too")
  func lossBeforeMaxHold() async throws {
    let locker = try await Locker(on: .current)
    let options = LockOptions(
      ttl: .seconds(40), extend: .milliseconds(200), maxHold: .seconds(20))
    let lock = try await locker.acquire(uniqueKey(), options: options)
    try RedisClient(.current)("DEL", lock.keys[0])
    await eventually("the loss is noticed") { lock.lossReason == .deleted }
    await locker.close()
  }

  @Test("A body of withLock that runs past maxHold is cancelled")
  func bodyTooLong() async throws {
    let locker = try await Locker(on: .current)
    let options = LockOptions(maxHold: .milliseconds(100))
    await expectError(.lost) {
      try await locker.withLock(uniqueKey(), options: options) { _ in
        try await Task.sleep(for: .seconds(60))
      }
    }
  }

  @Test("A lock cannot be prolonged past its maxHold")
  func prolonging() async throws {
    let locker = try await Locker(on: .current)
    let lock = try await locker.acquire(uniqueKey(), options: LockOptions(maxHold: .seconds(20)))
    try await lock.extend(by: .seconds(10))
    await expectError(.invalidOptions) { try await lock.extend(by: .seconds(30)) }
    #expect(lock.isHeld)
  }

  @Test(
    "Invalid values of minHold and maxHold are refused",
    arguments: [
      LockOptions(minHold: .seconds(-1)), LockOptions(maxHold: .zero),
      LockOptions(minHold: .seconds(2), maxHold: .seconds(1)),
      LockOptions(label: String(repeating: "x", count: 65)), LockOptions(label: "a\nb"),
    ])
  func nonsense(options: LockOptions) async throws {
    let locker = try await Locker(on: .current)
    await expectError(.invalidOptions) { try await locker.acquire(uniqueKey(), options: options) }
  }

  @Test("A label goes with its lock, and other clients see it")
  func label() async throws {
    let locker = try await Locker(on: .current) { $0.label = "service" }
    let key = uniqueKey()
    let lock = try await locker.acquire(key, options: LockOptions(label: "nightly: billing"))
    #expect(try await locker.inspect(key)?.holder.label == "nightly: billing")
    try await lock.release()
    let other = try await locker.acquire(key)
    #expect(try await locker.inspect(key)?.holder.label == "service")
    try await other.release()
  }
}
