import AsyncRedisLock
import PrivateRedis
import Testing

@Suite("A lock", .timeLimit(.minutes(2)), .redisServer())
struct LockTests {
  @Test("A release reports the outcome, and the same each time it is called")
  func releaseOutcomes() async throws {
    let (locker, client) = (try await Locker(on: .current), RedisClient(.current))
    let released = try await locker.acquire(uniqueKey())
    #expect(try await released.release() == .released)
    #expect(try await released.release() == .released)
    #expect(!released.isHeld && released.lossReason == nil && released.remaining == .zero)

    let gone = try await locker.acquire(uniqueKey())
    _ = try client("DEL", gone.keys[0])
    #expect(try await gone.release() == .deleted)
    #expect(try await gone.release() == .deleted)
    #expect(gone.lossReason == .deleted && gone.newHolder == nil)

    let taken = try await locker.acquire(uniqueKey())
    _ = try client("SET", taken.keys[0], "theirs")
    #expect(try await taken.release() == .takenByAnother)
    #expect(taken.lossReason == .takenByAnother && taken.newHolder?.value == "theirs")
    #expect(try client("GET", taken.keys[0]).string == "theirs")
  }

  @Test("A lock on several keys releases those that it still holds")
  func partialRelease() async throws {
    let (locker, client) = (try await Locker(on: .current), RedisClient(.current))
    let keys = [uniqueKey("a"), uniqueKey("b"), uniqueKey("c")]
    let lock = try await locker.acquire(keys)
    _ = try client("SET", keys[1], "theirs")
    #expect(try await lock.release() == .takenByAnother)
    #expect(try client("EXISTS", keys[0], keys[1], keys[2]).integer == 1)
  }

  @Test("A lock on several keys is taken whole or not at all")
  func allOrNothing() async throws {
    let (locker, client) = (try await Locker(on: .current), RedisClient(.current))
    let (free, held) = (uniqueKey("a"), uniqueKey("z"))
    _ = try client("SET", held, "theirs")
    #expect(try await locker.acquireIfAvailable([free, held]) == nil)
    #expect(try client("EXISTS", free).integer == 0)
    let lock = try await locker.acquire(free, free)
    #expect(lock.keys == [free])
  }

  @Test("A lock is released once, however many tasks release it")
  func concurrentRelease() async throws {
    let locker = try await Locker(on: .current)
    let lock = try await locker.acquire(uniqueKey())
    let outcomes = try await withThrowingTaskGroup(of: ReleaseOutcome.self) { group in
      for _ in 0..<50 { group.addTask { try await lock.release() } }
      return try await group.reduce(into: Set()) { $0.insert($1) }
    }
    #expect(outcomes == [.released])
  }

  @Test("A lock is released even if the releasing task is cancelled")
  func shieldedRelease() async throws {
    let locker = try await Locker(on: .current)
    let key = uniqueKey()
    let lock = try await locker.acquire(key, options: LockOptions(ttl: .seconds(60)))
    let task = Task {
      unsafe withUnsafeCurrentTask { task in unsafe task?.cancel() }
      return try await lock.release()
    }
    #expect(try await task.value == .released)
    #expect(try await locker.inspect(key) == nil)
  }

  @Test("A lock can be extended by hand, and is never shortened")
  func extendByHand() async throws {
    let (locker, client, key) = (try await Locker(on: .current), RedisClient(.current), uniqueKey())
    let lock = try await locker.acquire(key)
    try await lock.extend(by: .seconds(60))
    #expect(lock.remaining > .seconds(58) && lock.remaining <= .seconds(60))
    try await lock.extend(by: .seconds(1))
    #expect(lock.remaining > .seconds(58))
    // Automatic extensions continue, and do not shorten it either.
    try await Task.sleep(for: .milliseconds(1200))
    #expect(lock.remaining > .seconds(56))
    #expect(try client("PTTL", key).integer ?? 0 > 56_000)
    await expectError(.invalidOptions) { try await lock.extend(by: .zero) }
    try await lock.release()
    await expectError(.lost) { try await lock.extend(by: .seconds(1)) }
  }

  @Test("An extension by hand notices that the lock was taken away")
  func extendLost() async throws {
    let (locker, client) = (try await Locker(on: .current), RedisClient(.current))
    for value in [nil, "theirs"] {
      let lock = try await locker.acquire(uniqueKey())
      _ = try value.map { try client("SET", lock.keys[0], $0) } ?? client("DEL", lock.keys[0])
      await expectError(.lost) { try await lock.extend(by: .seconds(9)) }
      #expect(!lock.isHeld)
      #expect(lock.lossReason == (value == nil ? .deleted : .takenByAnother))
      #expect(try client("GET", lock.keys[0]).string == value)
    }
  }

  @Test("A lock's holder and remaining time can be inspected by any client")
  func inspect() async throws {
    let locker = try await Locker(on: .current) { $0.label = "billing" }
    let key = uniqueKey()
    #expect(try await locker.inspect(key) == nil)
    let lock = try await locker.acquire(key)
    let status = try #require(try await locker.inspect(key))
    #expect(status.key == key)
    #expect(status.holder.value == lock.token)
    #expect(status.holder.label == "billing")
    #expect(status.holder.processID != nil && status.holder.host != nil)
    let remaining = try #require(status.remaining)
    #expect(remaining > .seconds(1) && remaining <= .seconds(3))
  }

  @Test("A lock can be taken away by force, which its holder notices")
  func forceRelease() async throws {
    let locker = try await Locker(on: .current)
    let key = uniqueKey()
    #expect(try await locker.forceRelease(key) == nil)
    let lock = try await locker.acquire(
      key, options: LockOptions(ttl: .seconds(3), extend: .milliseconds(100)))
    #expect(try await locker.forceRelease(key)?.value == lock.token)
    try await lock.waitUntilLost()
    #expect(lock.lossReason == .deleted)
  }

  @Test("A lock is not extended if extensions are turned off")
  func noExtension() async throws {
    let locker = try await Locker(on: .current)
    let start = ContinuousClock.now
    let lock = try await locker.acquire(
      uniqueKey(), options: LockOptions(ttl: .milliseconds(300), extend: nil))
    try await lock.waitUntilLost()
    #expect(ContinuousClock.now - start >= .milliseconds(250))
    #expect(lock.lossReason == .expired)
  }

  @Test("A lock is released when its handle and its locker go out of scope together")
  func droppedTogether() async throws {
    let server = RedisServer.current
    let keys = (0..<100).map { _ in uniqueKey() }
    for key in keys {
      let locker = try await Locker(on: server)
      let lock = try await locker.acquire(key, options: LockOptions(ttl: .seconds(60)))
      #expect(lock.isHeld)
    }
    let client = RedisClient(server)
    await eventually { try keys.allSatisfy { try client("EXISTS", $0).integer == 0 } }
  }

  @Test("The library's own keys cannot be locked")
  func reservedKeys() async throws {
    let locker = try await Locker(on: .current)
    await expectError(.invalidKey) { try await locker.acquire("redis-lock:fence") }
    await expectError(.invalidKey) { try await locker.forceRelease("redis-lock:fence") }
  }

  @Test("A lock survives its locker, and its handle can still release it")
  func outlivesLocker() async throws {
    let key = uniqueKey()
    var locker: Locker? = try await Locker(on: .current)
    var lock: Lock? = try await locker?.acquire(
      key, options: LockOptions(ttl: .milliseconds(600), extend: .milliseconds(100)))
    locker = nil
    try await Task.sleep(for: .seconds(1))
    #expect(lock?.isHeld == true)
    lock = nil
    await eventually { try !RedisServer.current.hasKey(key) }
  }
}
