import AsyncRedisLock
import PrivateRedis
import Testing

@Suite("A lock that is lost", .timeLimit(.minutes(2)))
struct LossTests {
  static let quick = LockOptions(
    timeout: .seconds(5), ttl: .milliseconds(800), extend: .milliseconds(200))

  @Test(
    "A lock that is deleted or taken over is lost at the next extension, with the reason",
    .redisServer(), arguments: [nil, "x"])
  func takenAway(value: String?) async throws {
    let (locker, client) = (try await Locker(on: .current), RedisClient(.current))
    let lock = try await locker.acquire(uniqueKey(), options: Self.quick)
    _ = try value.map { try client("SET", lock.keys[0], $0) } ?? client("DEL", lock.keys[0])
    let start = ContinuousClock.now
    try await lock.waitUntilLost()
    #expect(ContinuousClock.now - start < .seconds(2))
    #expect(!lock.isHeld && lock.remaining == .zero)
    #expect(lock.lossReason == (value == nil ? .deleted : .takenByAnother))
    #expect(lock.newHolder?.value == value)
    #expect(try client("GET", lock.keys[0]).string == value)
  }

  @Test("If a lock loses one of its keys, it gives the others back", .redisServer())
  func oneOfSeveral() async throws {
    let (locker, client) = (try await Locker(on: .current), RedisClient(.current))
    let keys = [uniqueKey("a"), uniqueKey("b")]
    let lock = try await locker.acquire(keys, options: Self.quick)
    _ = try client("DEL", keys[0])
    try await lock.waitUntilLost()
    await eventually { try client("EXISTS", keys[1]).integer == 0 }
  }

  @Test(
    "If the server hangs or is gone, a lock is lost no later than its key can expire",
    .redisServer(), arguments: ["paused", "killed"])
  func serverGone(how: String) async throws {
    let server = RedisServer.current
    let locker = try await Locker(on: server)
    let lock = try await locker.acquire(uniqueKey(), options: Self.quick)
    let body = Task {
      try await locker.withLock(uniqueKey(), options: Self.quick) { _ in
        try await Task.sleep(for: .seconds(60))
      }
    }
    await eventually { lock.remaining < .milliseconds(700) }
    // From here on, no extension can be confirmed; an earlier confirmation lasts for the ttl.
    if how == "paused" { server.pause() } else { server.kill() }
    let last = ContinuousClock.now
    try await lock.waitUntilLost()
    let lost = ContinuousClock.now
    #expect(!lock.isHeld && lock.lossReason == .expired)
    #expect(lost - last < .seconds(2))
    // The body's task does not wait for the release of the lost lock.
    await expectError(.lost) { try await body.value }
    #expect(ContinuousClock.now - last < .seconds(2))
    if how == "paused" { server.resume() }
  }

  @Test("A lock is never reported as held once its key can have expired", .redisServer())
  func neverTooLong() async throws {
    let server = RedisServer.current
    let (locker, client, key) = (try await Locker(on: server), RedisClient(server), uniqueKey())
    for _ in 0..<20 {
      let lock = try await locker.acquire(
        key, options: LockOptions(timeout: .seconds(5), ttl: .milliseconds(100), extend: nil))
      // Seeing it held after the key was seen gone would be an error, whatever the delays in between.
      while try client("EXISTS", key).integer == 1 { try await Task.sleep(for: .milliseconds(1)) }
      #expect(!lock.isHeld)
    }
  }

  @Test(
    "A wait for a loss with a margin ends in time, but not while extensions succeed", .redisServer()
  )
  func warning() async throws {
    let server = RedisServer.current
    let locker = try await Locker(on: server)
    let lock = try await locker.acquire(uniqueKey(), options: Self.quick)
    let warned = Recorder<Duration>()
    let watch = Task {
      try await lock.waitUntilLost(within: .milliseconds(400))
      warned.record(lock.remaining)
    }
    try await Task.sleep(for: .milliseconds(1500))
    #expect(warned.values.isEmpty)
    server.pause()
    try await watch.value
    #expect(warned.values[0] > .milliseconds(200) && warned.values[0] <= .milliseconds(400))
    #expect(lock.isHeld)
    try await lock.waitUntilLost()
    server.resume()
  }

  @Test(
    "The loss or release of a lock ends every wait for its loss, and a cancellation only its own task's wait",
    .redisServer())
  func waitsEnd() async throws {
    let locker = try await Locker(on: .current)
    let lock = try await locker.acquire(uniqueKey())
    let cancelled = Task { try await lock.waitUntilLost() }
    let plain = Task { try await lock.waitUntilLost() }
    let early = Task { try await lock.waitUntilLost(within: .milliseconds(1)) }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    try await lock.release()
    try await plain.value
    try await early.value
    try await lock.waitUntilLost()
    #expect(lock.lossReason == nil)
  }

  @Test("A lock is lost as soon as any answer shows that it is not ours", .redisServer())
  func toldByDrawing() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    let lock = try await locker.acquire(
      key, options: LockOptions(ttl: .seconds(30), extend: .seconds(10)))
    try RedisClient(.current)("SET", key, "another's")
    // A waiter of the same locker makes the holder draw fencing tokens for handing on.
    let waiter = Task {
      try await locker.acquire(key, options: LockOptions(timeout: .milliseconds(500)))
    }
    let attempt = await Attempt { try await lock.waitUntilLost() }
    #expect(attempt.duration < .inTime)
    #expect(!lock.isHeld)
    _ = await waiter.result
  }
}
