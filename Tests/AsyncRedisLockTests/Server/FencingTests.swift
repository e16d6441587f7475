import AsyncRedisLock
import Dispatch
import FaultProxy
import PrivateRedis
import Testing

@Suite("Fencing tokens", .timeLimit(.minutes(2)), .redisServer())
struct FencingTests {
  @Test("Fencing tokens grow in the order of holding, across lockers and for one key or several")
  func grow() async throws {
    let lockers = [try await Locker(on: .current), try await Locker(on: .current)]
    let keys = [uniqueKey("a"), uniqueKey("b")]
    var largest: UInt64 = 0
    for round in 0..<200 {
      let lock = try await lockers[round % 2].acquire(round % 3 == 0 ? keys : [keys[0]])
      let number = try #require(lock.fencingToken)
      #expect(number > largest)
      // The counter starts at the time in microseconds, at which Lua's own conversion loses digits.
      #expect(number > 1_000_000_000_000_000)
      largest = number
      try await lock.release()
    }
  }

  @Test(
    "Fencing tokens grow past a lost counter, with and without a lost connection", .redisServer())
  func lostCounter() async throws {
    let client = RedisClient(.current)
    let locker = try await Locker(on: .current)
    var largest: UInt64 = 0
    for round in 0..<20 {
      let lock = try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .seconds(5)))
      let number = try #require(lock.fencingToken)
      #expect(number > largest)
      largest = number
      try await lock.release()
      switch round % 4 {
      case 0: _ = try client("DEL", "redis-lock:fence")
      case 1: _ = try client("FLUSHALL")
      case 2: _ = try client("SET", "redis-lock:fence", "7")
      default:
        _ = try client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        _ = try client("SET", "redis-lock:fence", "7")
      }
    }
  }

  @Test(
    "Fencing tokens grow for each key when lockers raise a lost counter at the same time",
    .redisServer())
  func raisedByMany() async throws {
    let keys = (0..<2).map { _ in (name: uniqueKey(), last: Shared<UInt64>(0)) }
    let options = LockOptions(retry: .milliseconds(5), timeout: .seconds(30))
    let lockers = try await [Locker(on: .current), Locker(on: .current), Locker(on: .current)]
    try await withThrowingTaskGroup { group in
      for locker in lockers {
        for (name, last) in keys {
          group.addTask {
            for _ in 0..<100 {
              try await locker.withLock(name, options: options) { lock in
                let number = try #require(lock.fencingToken)
                #expect(number > last.exchange(number))
              }
            }
          }
        }
      }
      group.addTask {
        let client = RedisClient(.current)
        for _ in 0..<200 {
          try client("DEL", "redis-lock:fence")
          try await Task.sleep(for: .milliseconds(2))
        }
      }
      try await group.waitForAll()
    }
  }

  @Test("A fencing token is drawn once the key is held, so no holder in between has a larger one")
  func drawnBehindSet() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let proxy = try FaultProxy(to: server)
    let (slow, quick) = (try await Locker(url: proxy.url), try await Locker(on: server))
    let (hasBegun, isHeldBack) = (Shared(false), Shared(false))
    let mayPass = DispatchSemaphore(value: 0)
    proxy.setScript { message in
      guard message.direction == .requests, let name = message.command?.name,
        ["SET", "INCR"].contains(name)
      else { return .forward }
      // The second command is held back.
      if hasBegun.exchange(true), !isHeldBack.exchange(true) { mayPass.wait() }
      return .forward
    }
    defer { mayPass.signal() }
    let counter = try server.value(of: "redis-lock:fence")
    let acquiring = Task { try await slow.acquire(key, options: .patient) }
    await eventually { isHeldBack.value }
    await eventually("the server has executed the first command") {
      try server.hasKey(key) || server.value(of: "redis-lock:fence") != counter
    }
    let between = try await quick.acquireIfAvailable(key)
    let number = between?.fencingToken ?? 0
    try await between?.release()
    mayPass.signal()
    let lock = try await acquiring.value
    #expect(try #require(lock.fencingToken) > number)
    try await lock.release()
  }

  @Test(
    "A locker that reconnects draws above the tokens of others, even if the counter is behind",
    .redisServer())
  func behindAtLogin() async throws {
    let client = RedisClient(.current)
    let (locker, other) = (try await Locker(on: .current), try await Locker(on: .current))
    let first = try await locker.acquire(uniqueKey())
    let number = try #require(first.fencingToken)
    try await first.release()
    let key = uniqueKey()
    var largest: UInt64 = 0
    for _ in 0..<10 {
      let lock = try await other.acquire(key)
      largest = try #require(lock.fencingToken)
      try await lock.release()
    }
    // As on a replica that had not received them when it became the master.
    try client("SET", "redis-lock:fence", String(number))
    try client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    let next = try await locker.acquire(key, options: LockOptions(timeout: .seconds(5)))
    #expect(try #require(next.fencingToken) > largest)
    try await next.release()
  }

  @Test("Fencing tokens can be turned off")
  func off() async throws {
    let locker = try await Locker(on: .current) { $0.isFencingEnabled = false }
    for keys in [[uniqueKey()], [uniqueKey(), uniqueKey()]] {
      let lock = try await locker.acquire(keys)
      #expect(lock.fencingToken == nil)
      #expect(try await locker.acquireIfAvailable(keys) == nil)
      await expectError(.timeout) {
        try await locker.acquire(keys, options: LockOptions(timeout: .milliseconds(100)))
      }
      #expect(try await lock.release() == .released)
    }
  }

  @Test("Fencing tokens come from a counter under the configured prefix")
  func prefix() async throws {
    let locker = try await Locker(on: .current) { $0.keyPrefix = "elsewhere/" }
    let lock = try await locker.acquire(uniqueKey())
    let number = try #require(lock.fencingToken)
    #expect(try RedisClient(.current)("GET", "elsewhere/fence").string == String(number))
  }
}
