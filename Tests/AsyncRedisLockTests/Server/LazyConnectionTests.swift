import InMemoryLogging
import Logging
import PrivateRedis
import Testing

@testable import AsyncRedisLock

#if ServiceLifecycle
  import ServiceLifecycle
#endif

@Suite("A locker that connects on demand", .timeLimit(.minutes(2)))
struct LazyConnectionTests {
  @Test("A bad URL or configuration is refused at once, without a server")
  func refused() throws {
    let url = #expect(throws: LockError.self) { try Locker(connectingLazilyTo: "http://h") }
    #expect(url?.code == .invalidURL)
    let options = #expect(throws: LockError.self) {
      try Locker(connectingLazilyTo: LockerConfiguration(database: -1))
    }
    #expect(options?.code == .invalidOptions)
  }

  @Test("A locker connects with its first call, not earlier", .redisServer())
  func firstCall() async throws {
    let server = RedisServer.current
    var configuration = try LockerConfiguration(url: server.url)
    configuration.clientName = "lazy"
    let locker = try Locker(connectingLazilyTo: configuration)
    func isListed() throws -> Bool {
      try RedisClient(server)("CLIENT", "LIST").string?.contains("name=lazy") == true
    }
    #expect(try !isListed() && !locker.isConnected)
    try await locker.withLock(uniqueKey()) { lock in #expect(lock.fencingToken != nil) }
    #expect(try isListed() && locker.isConnected)
  }

  @Test("A locker that is made while the server is down works as soon as it is up", .redisServer())
  func serverDown() async throws {
    let server = RedisServer.current
    server.kill()
    let locker = try Locker(connectingLazilyTo: server.url)
    await expectError(.unreachable) { try await locker.acquire(uniqueKey()) }
    await expectError(.unreachable) { try await locker.ping() }
    #expect(!locker.isConnected)
    let waiting = Task { try await locker.acquire(uniqueKey(), options: .patient) }
    try server.restart()
    #expect(try await waiting.value.release() == .released)
    #expect(locker.isConnected)
  }

  #if ServiceLifecycle
    @Test(
      "A service comes up while its server is down, logs that, and recovers later",
      .redisServer())
    func service() async throws {
      let server = RedisServer.current
      server.kill()
      let handler = InMemoryLogHandler()
      var logger = Logger(label: "test") { _ in handler }
      logger.logLevel = .info
      let locker = try Locker(connectingLazilyTo: server.url, logger: logger)
      let group = ServiceGroup(
        configuration: ServiceGroupConfiguration(
          services: [.init(service: locker)], logger: Logger(label: "group")))
      let running = Task { try await group.run() }
      func said() -> [String] { handler.entries.map(\.message.description) }
      await eventually { said().contains { $0.hasPrefix("Cannot connect to Redis ") } }
      try server.restart()
      await eventually { locker.isConnected }
      await eventually { said().contains { $0.hasPrefix("Connected after ") } }
      #expect(said().count == 2, "\(said())")
      #expect(handler.entries.allSatisfy { $0.level == .notice })
      await group.triggerGracefulShutdown()
      try await running.value
      #expect(!locker.isConnected)
    }
  #endif
}

@Suite("The health of a locker", .timeLimit(.minutes(2)))
struct HealthTests {
  @Test("A ping returns the round-trip time", .redisServer())
  func ping() async throws {
    let locker = try await Locker(on: .current)
    #expect(locker.isConnected)
    #expect(try await locker.ping() > .zero)
    await locker.close()
    #expect(!locker.isConnected)
    await expectError(.closed) { try await locker.ping() }
  }

  @Test(
    "A ping notices a silent server, and an outage shows in isConnected", .redisServer()
  )
  func outage() async throws {
    let server = RedisServer.current
    let locker = try await Locker(on: server) { $0.operationTimeout = .milliseconds(300) }
    server.pause()
    await expectError(.unreachable) { try await locker.ping() }
    server.resume()
    try await locker.ping()
    #expect(locker.isConnected)
    server.kill()
    await expectError(.unreachable) { try await locker.ping() }
    #expect(!locker.isConnected)
    try server.restart()
    try await locker.ping()
    #expect(locker.isConnected)
  }

  @Test("A ping also works for a user without that permission", .redisServer())
  func noPermission() async throws {
    let name = uniqueKey("user")
    try RedisClient(.current)(words: [
      "ACL", "SETUSER", name, "on", ">pw", "+@all", "-ping", "~*", "&*",
    ])
    let locker = try await Locker {
      $0.username = name
      $0.password = "pw"
    }
    try await locker.ping()
  }
}
