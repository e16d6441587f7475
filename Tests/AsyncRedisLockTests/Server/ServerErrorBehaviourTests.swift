import AsyncRedisLock
import FaultProxy
import Foundation
import PrivateRedis
import Testing

@Suite("A server that refuses temporarily", .timeLimit(.minutes(2)), .serialized)
struct ServerErrorBehaviourTests {
  // MARK: Loading and busy

  @Test("If a server is loading its data, calls are retried until it is ready", .redisServer())
  func loading() async throws {
    let server = RedisServer.current
    let admin = RedisClient(server)
    // The server answers between two keys of a kilobyte, every millisecond, and for 2 s in all.
    try admin("CONFIG", "SET", "rdbcompression", "no")
    try admin("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
    try admin("CONFIG", "SET", "key-load-delay", "1000")
    try admin("DEBUG", "POPULATE", "2000", "key", "1000")
    try await expectPatience(with: "LOADING") {
      Thread.detachNewThread { _ = try? RedisClient(server)("DEBUG", "RELOAD") }
      await Self.wait(until: admin, says: "LOADING")
    } end: {
      // The loading ends by itself.
    }
  }

  @Test(
    "If a script hangs on the server, calls are retried until the script is killed",
    .redisServer("--lua-time-limit", "50"))
  func busy() async throws {
    let server = RedisServer.current
    let admin = RedisClient(server)
    try await expectPatience(with: "BUSY") {
      Thread.detachNewThread { _ = try? RedisClient(server)("EVAL", "while true do end", "0") }
      await Self.wait(until: admin, says: "BUSY")
    } end: {
      try admin("SCRIPT", "KILL")
    }
  }

  @Test("A refusing server is named as the reason, even if the last request gets no answer in time")
  func cutShort() async throws {
    let end = Shared(ContinuousClock.now + .seconds(60))
    let server = try FakeServer { command, _, _ in
      guard command.name == "SET" || command.name == "EVALSHA" else { return nil }
      // A loading server is slow, and the last request has two milliseconds.
      return ContinuousClock.now < end.value ? "-LOADING the dataset in memory\r\n" : .silence
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    end.value = .now + .milliseconds(140)
    let attempt = await Attempt {
      try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .milliseconds(150)))
    }
    #expect(attempt.error?.code == .refused)
    #expect(attempt.error?.serverCode == "LOADING")
    #expect(attempt.error?.isRetryable == true)
  }

  @Test("Releases at a server that refuses them and hangs up again and again do not multiply")
  func flapping() async throws {
    let isFlapping = Shared(false)
    let (refused, releases) = (Shared<Set<Int>>([]), Shared(0))
    let server = try FakeServer { command, connection, _ in
      guard command.name == "EVALSHA" else { return nil }
      releases.change { $0 += 1 }
      guard isFlapping.value else { return nil }
      var isFirst = false
      refused.change { isFirst = $0.insert(connection).inserted }
      return isFirst ? "-LOADING Redis is loading the dataset in memory\r\n" : FakeAnswer(.hangUp)
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url) { $0.operationTimeout = .milliseconds(100) }
    var locks: [Lock] = []
    for _ in 0..<20 {
      locks.append(
        try await locker.acquire(
          uniqueKey(), options: LockOptions(ttl: .seconds(600), extend: nil)))
    }
    isFlapping.value = true
    for lock in locks { _ = await Attempt { try await lock.release() } }
    // A rate needs a time: 400 requests in three seconds, and 2,000 if each repetition begins others.
    try await Task.sleep(for: .seconds(3))
    #expect(releases.value < 1000)
  }

  // MARK: Replication

  @Test(
    "If a server became a replica, calls are retried until it is a master again", .redisServer())
  func readOnly() async throws {
    let admin = RedisClient(.current)
    let nobody = try FakeListener(.tcp, isOpen: false) { _ in }
    defer { nobody.stop() }
    try await expectPatience(with: "READONLY") {
      try admin("REPLICAOF", "127.0.0.1", nobody.port)
    } end: {
      try admin("REPLICAOF", "NO", "ONE")
    }
  }

  @Test(
    "If a replica has lost its master, calls are retried until it is a master itself",
    .redisServer("--replica-serve-stale-data", "no"))
  func masterDown() async throws {
    let admin = RedisClient(.current)
    let nobody = try FakeListener(.tcp, isOpen: false) { _ in }
    defer { nobody.stop() }
    try await expectPatience(with: "MASTERDOWN") {
      try admin("REPLICAOF", "127.0.0.1", nobody.port)
    } end: {
      try admin("REPLICAOF", "NO", "ONE")
    }
  }

  @Test("If a server lacks replicas, calls are retried until it has enough", .redisServer())
  func noReplicas() async throws {
    let admin = RedisClient(.current)
    try await expectPatience(with: "NOREPLICAS") {
      try admin("CONFIG", "SET", "min-replicas-to-write", "1")
    } end: {
      try admin("CONFIG", "SET", "min-replicas-to-write", "0")
    }
  }

  /// Goes through the life of locks while the server refuses temporarily.
  private func expectPatience(
    with code: String, begin: () async throws -> Void, end: () async throws -> Void
  ) async throws {
    let client = RedisClient(.current)
    let locker = try await Locker()
    let (heldKey, droppedKey, newKey) = (uniqueKey("held"), uniqueKey("given"), uniqueKey("new"))
    let held = try await locker.acquire(
      heldKey, options: LockOptions(ttl: .seconds(30), extend: .milliseconds(200)))
    let dropped = try await locker.acquire(
      droppedKey, options: LockOptions(ttl: .seconds(60), extend: nil))
    try await begin()

    // A caller without time gets the reason, and the hint that it may pass.
    let attempt = await Attempt {
      try await locker.acquire(newKey, options: LockOptions(timeout: .milliseconds(200)))
    }
    #expect(attempt.error?.code == .refused)
    #expect(attempt.error?.serverCode == code)
    #expect(attempt.error?.isRetryable == true)
    #expect(attempt.error?.waited ?? .zero >= .milliseconds(199))

    // A caller with time waits, whether it was connected before or not.
    async let early = locker.acquire(newKey, options: LockOptions(timeout: .seconds(30)))
    async let late = Locker().acquire(
      uniqueKey("late"), options: LockOptions(timeout: .seconds(30)))
    let release = await Attempt { try await dropped.release() }
    #expect(release.value == .released || release.error?.isRetryable == true)
    #expect(held.isHeld)

    let firstEnd = ContinuousClock.now + held.remaining
    try await end()
    let number = try #require(held.fencingToken)
    #expect(try await early.fencingToken ?? 0 > number)
    #expect(try await late.fencingToken ?? 0 > number)
    await eventually("the lock is extended again") {
      ContinuousClock.now + held.remaining > firstEnd
    }
    #expect(try await held.release() == .released)
    await eventually("the keys released meanwhile are free") {
      try client("EXISTS", droppedKey) == .integer(0)
    }
  }

  private static func wait(until client: RedisClient, says code: String) async {
    await eventually("the server says \(code)") {
      do {
        try client("PING")
        return false
      } catch RedisError.server(let text) {
        return text.hasPrefix(code)
      }
    }
  }

  // MARK: Clients

  @Test(
    "If a server has too many clients, calls are retried until it has fewer",
    arguments: [RedisServer.Listener.unixSocket, .tcp])
  func maxClients(_ listener: RedisServer.Listener) async throws {
    let server = try RedisServer(arguments: ["--maxclients", "1"], listen: listener)
    defer { server.stop() }
    let admin = RedisClient(server)
    try admin("PING")
    let attempt = await Attempt {
      try await Locker(on: server) { $0.connectTimeout = .milliseconds(300) }
    }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.phase == .connect)
    #expect(attempt.error?.isRetryable == true)
    #expect(attempt.error?.message.contains("max number of clients") == true)
    #expect(attempt.duration < .inTime)
    async let locker = Locker(on: server) { $0.connectTimeout = .seconds(30) }
    try admin("CONFIG", "SET", "maxclients", "10")
    try await locker.acquire(uniqueKey()).release()
  }
}

extension FakeListener {
  /// The port at 127.0.0.1.
  fileprivate var port: String {
    if case .tcp(let port) = address { "\(port)" } else { "0" }
  }
}
