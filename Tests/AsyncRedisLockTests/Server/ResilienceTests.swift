import AsyncRedisLock
import PrivateRedis
import Testing

@Suite(
  "The resilience of locks",
  .timeLimit(.minutes(5)))
struct ResilienceTests {
  static let options = LockOptions(
    timeout: .seconds(10), ttl: .seconds(2), extend: .milliseconds(300))

  /// Disturbs the server while a lock is held, and checks that the lock is kept.
  func expectKept(
    for time: Duration = .seconds(3), sourceLocation: SourceLocation = #_sourceLocation,
    _ disturb: (RedisClient) async throws -> Void
  ) async throws {
    let server = RedisServer.current
    let (locker, other) = (try await Locker(on: server), try await Locker(on: server))
    let lock = try await locker.acquire(["a", "b"], options: Self.options)
    try await disturb(RedisClient(server))
    let end = ContinuousClock.now + time
    while ContinuousClock.now < end {
      #expect(lock.isHeld, sourceLocation: sourceLocation)
      let second = try? await other.acquireIfAvailable("b")
      #expect(second == nil, "given twice", sourceLocation: sourceLocation)
      try await Task.sleep(for: .milliseconds(20))
    }
    #expect(try await lock.release() == .released, sourceLocation: sourceLocation)
    #expect(try await other.acquire("a").isHeld, sourceLocation: sourceLocation)
  }

  @Test("A lock survives a dropped connection", .redisServer())
  func droppedConnection() async throws {
    try await expectKept { client in
      for _ in 0..<5 {
        _ = try client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        try await Task.sleep(for: .milliseconds(50))
      }
    }
  }

  @Test(
    "A lock survives a restart of the server within the ttl",
    .redisServer("--appendonly", "yes", "--appendfsync", "always"))
  func restart() async throws {
    let server = RedisServer.current
    try await expectKept { _ in
      server.kill()
      try server.restart()
    }
  }

  @Test("A lock survives a script cache that is flushed repeatedly", .redisServer())
  func scriptFlush() async throws {
    try await expectKept { client in
      for _ in 0..<50 {
        _ = try client("SCRIPT", "FLUSH")
        try await Task.sleep(for: .milliseconds(20))
      }
    }
  }

  @Test("A lock survives a slow server, within the ttl", .redisServer())
  func slow() async throws {
    try await expectKept { client in _ = try client("CLIENT", "PAUSE", "700", "ALL") }
  }

  @Test(
    "A lock survives a server that stops for longer than the operation timeout, within the ttl",
    .redisServer())
  func stopped() async throws {
    let server = RedisServer.current
    let locker = try await Locker(on: server) { $0.operationTimeout = .milliseconds(300) }
    let lock = try await locker.acquire("key", options: Self.options)
    server.pause()
    try await Task.sleep(for: .milliseconds(1100))
    server.resume()
    try await Task.sleep(for: .seconds(2))
    #expect(lock.isHeld)
    #expect(try await lock.release() == .released)
  }

  @Test("Many lockers take turns while their connections are killed at any instant", .redisServer())
  func takingTurns() async throws {
    let server = RedisServer.current
    let client = RedisClient(server)
    let lockers = [try await Locker(on: server), try await Locker(on: server)]
    let holder = Recorder<Int>()
    let killer = Task {
      while !Task.isCancelled {
        _ = try client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        try? await Task.sleep(for: .milliseconds(3))
      }
    }
    let options = LockOptions(
      retry: .milliseconds(5), timeout: .seconds(30), ttl: .seconds(20), extend: .milliseconds(10))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<6 {
        group.addTask {
          for _ in 0..<25 {
            let lock = try await lockers[index % 2].acquire("turn", options: options)
            holder.record(index)
            try await Task.sleep(for: .microseconds(200))
            holder.record(-1 - index)
            // A call without an answer in time continues in the background.
            _ = try? await lock.release()
          }
        }
      }
      try await group.waitForAll()
    }
    killer.cancel()
    try await killer.value
    let log = holder.values
    #expect(log.count == 6 * 25 * 2)
    for turn in stride(from: 0, to: log.count, by: 2) {
      #expect(log[turn + 1] == -1 - log[turn], "the lock had two holders at once")
    }
    await eventually { try !server.hasKey("turn") }
  }

  @Test(
    "Closing ends all waits, releases held locks, and refuses later calls",
    .redisServer())
  func close() async throws {
    let server = RedisServer.current
    let (locker, other) = (try await Locker(on: server), try await Locker(on: server))
    let foreign = try await other.acquire("foreign", options: LockOptions(ttl: .seconds(60)))
    let locks = [try await locker.acquire("a"), try await locker.acquire("b", "c")]
    let waiting = Task { try await locker.acquire("foreign", options: LockOptions(timeout: nil)) }
    await eventually { try server.queue(of: "foreign").count == 1 }
    await locker.close()
    await expectError(.closed) { try await waiting.value }
    for lock in locks {
      #expect(!lock.isHeld)
      #expect(try await lock.release() == .released)
    }
    #expect(try RedisClient(server)("EXISTS", "a", "b", "c").integer == 0)
    #expect(foreign.isHeld)
    await expectError(.closed) { try await locker.acquire("a") }
    await expectError(.closed) { try await locker.inspect("a") }
    await locker.close()
  }

  @Test("Closing during acquisitions leaves nothing of them behind", .redisServer())
  func closeWhileAcquiring() async throws {
    let server = RedisServer.current
    let client = RedisClient(server)
    for round in 0..<20 {
      let locker = try await Locker(on: server)
      let tasks = (0..<200).map { index in
        Task {
          let lock = try await locker.acquire(
            "\(round)-\(index)", options: LockOptions(timeout: .seconds(20), ttl: .seconds(120)))
          // Read only once: closing may release it in between.
          let remaining = lock.remaining
          #expect(remaining == .zero || remaining > .seconds(60))
        }
      }
      try await Task.sleep(for: .microseconds(Int.random(in: 0...3000)))
      await locker.close()
      for task in tasks {
        do {
          try await task.value
        } catch let error as LockError {
          #expect(error.code == .closed)
        }
      }
    }
    await eventually("no key is left") {
      try client("KEYS", "*").array?.allSatisfy { $0.string == "redis-lock:fence" } == true
    }
  }

  @Test(
    "If the server is unreachable, a release is made up for later", .redisServer(listen: .tcp)
  )
  func releaseWhileDown() async throws {
    let server = RedisServer.current
    let locker = try await Locker(on: server) { $0.operationTimeout = .milliseconds(300) }
    let lock = try await locker.acquire("key", options: LockOptions(ttl: .seconds(60)))
    server.pause()
    await expectError(.unreachable) { try await lock.release() }
    server.resume()
    await eventually { try !server.hasKey("key") }
    #expect(try await lock.release() == .released, "no other client can have taken it")
  }

  @Test(
    "A user that may take keys but not draw fencing tokens leaves no keys",
    .redisServer())
  func noFence() async throws {
    let server = RedisServer.current
    let client = RedisClient(server)
    _ = try client("ACL", "SETUSER", "u", "on", ">p", "~*", "+@all", "-time")
    let locker = try await Locker(on: server) {
      $0.username = "u"
      $0.password = "p"
    }
    for keys in [["a"], ["a", "b"]] {
      await expectError(.refused) { try await locker.acquire(keys) }
      await eventually { try client("EXISTS", "a", "b").integer == 0 }
    }
  }

  @Test("A lock survives a manual extension whose outcome is unknown", .redisServer())
  func unknownExtension() async throws {
    let server = RedisServer.current
    let locker = try await Locker(on: server) { $0.operationTimeout = .milliseconds(200) }
    let lock = try await locker.acquire(
      "key", options: LockOptions(ttl: .seconds(2), extend: nil))
    server.pause()
    await expectError(.unreachable) { try await lock.extend(by: .seconds(60)) }
    await expectError(.unreachable) { try await lock.release() }
    // For longer than the ttl with which the lock was taken.
    try await Task.sleep(for: .seconds(4))
    server.resume()
    await eventually { try !server.hasKey("key") }
  }

  #if THREAD_SANITIZER
    // Everything takes ten times as long there, except the ttl.
    static let burstSize = 2000
  #else
    static let burstSize = 20_000
  #endif

  @Test("Thousands of handles that are dropped at once release all of their locks", .redisServer())
  func burst() async throws {
    let server = RedisServer.current
    let locker = try await Locker(on: server)
    let bystander = try await locker.acquire("bystander")
    var locks: [Lock] = []
    try await withThrowingTaskGroup(of: Lock.self) { group in
      for index in 0..<Self.burstSize {
        group.addTask {
          try await locker.acquire(
            "key-\(index)", options: LockOptions(timeout: nil, ttl: .seconds(60)))
        }
      }
      for try await lock in group { locks.append(lock) }
    }
    locks = []
    await eventually(within: .seconds(20)) {
      try RedisClient(server)("DBSIZE").integer == 2
    }
    #expect(bystander.isHeld)
  }

  @Test("Closing while the server hangs ends within the operation timeout", .redisServer())
  func closeHanging() async throws {
    let server = RedisServer.current
    let locker = try await Locker(on: server) { $0.operationTimeout = .milliseconds(300) }
    let lock = try await locker.acquire("key", options: LockOptions(ttl: .seconds(60)))
    server.pause()
    let start = ContinuousClock.now
    await locker.close()
    #expect(ContinuousClock.now - start < .milliseconds(900))
    #expect(!lock.isHeld)
    server.resume()
    await eventually("the earlier commands are executed") { try !server.hasKey("key") }
  }
}
