import FaultProxy
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("A password that is rotated", .timeLimit(.minutes(2)))
struct RotatedPasswordTests {
  @Test(
    "After a refusal, a login is tried at most once a second, and errors say so", .redisServer())
  func onceASecond() async throws {
    let (server, admin) = (RedisServer.current, RedisClient(.current))
    let name = uniqueKey("user")
    try admin.set(password: "first", of: name)
    let locker = try await Locker(on: server) {
      $0.username = name
      $0.password = "first"
    }
    let waiter = try await Locker(on: server).acquire("held", options: .patient)
    // Makes two connections log in.
    await expectError(.timeout) {
      try await locker.acquire("held", options: LockOptions(timeout: .milliseconds(200)))
    }
    let lock = try await locker.acquire(uniqueKey(), options: LockOptions(ttl: .seconds(30)))
    try admin.set(password: "second", of: name)
    try admin("CLIENT", "KILL", "USER", name)
    let before = try server.calls("auth")
    let start = ContinuousClock.now
    var messages: Set<String> = []
    while ContinuousClock.now - start < .milliseconds(1500) {
      let attempt = await Attempt { try await locker.acquireIfAvailable(uniqueKey()) }
      #expect(attempt.error?.code == .refused && attempt.error?.serverCode == "WRONGPASS")
      messages.insert(attempt.error?.message ?? "")
      await Task.yield()
    }
    let most = Int((ContinuousClock.now - start) / .seconds(1)) + 2
    #expect(try server.calls("auth") - before <= most)
    #expect(messages.contains { $0.contains("the client logs in at most once a second") })
    #expect(messages.allSatisfy { !$0.contains("first") })
    try admin.set(password: "first", of: name)
    await eventually { (try? await locker.ping()) != nil }
    #expect(lock.isHeld)
    try await lock.release()
    try await waiter.release()
  }

  @Test("After a refusal, the gate lets one login a second through; after a success, all")
  func gate() {
    let (gate, start) = (LoginGate(), Instant.now)
    #expect(gate.admit(at: start) == .go && gate.admit(at: start) == .go)
    gate.refused(ServerError(message: "WRONGPASS no"), at: start)
    guard case .wait(let instant, let error) = gate.admit(at: start + .milliseconds(400)) else {
      Issue.record("let through")
      return
    }
    #expect(instant == start + .seconds(1))
    #expect(
      error.message
        == "WRONGPASS no (400 ms ago; the client logs in at most once a second)")
    #expect(error.code == .wrongPass)
    #expect(gate.refusal(at: start + .milliseconds(999))?.isRepeated == false)
    #expect(gate.refusal(at: start + .seconds(1)) == nil)
    #expect(gate.admit(at: start + .seconds(1)) == .go)
    #expect(gate.admit(at: start + .milliseconds(1500)) != .go, "one login uses up its second")
    gate.refused(ServerError(message: "WRONGPASS no"), at: start + .milliseconds(900))
    #expect(gate.refusal(at: start + .seconds(1))?.isRepeated == false, "it may be a rotation")
    gate.refused(ServerError(message: "WRONGPASS no"), at: start + .milliseconds(1500))
    #expect(gate.refusal(at: start + .milliseconds(1600))?.isRepeated == true)
    gate.forget()
    #expect(gate.admit(at: start + .milliseconds(1500)) == .go)
  }

  @Test("A lease that ends before the next login brings it forward, but no login follows at once")
  func hurriedLogin() {
    let (gate, start) = (LoginGate(), Instant.now)
    func next() -> Duration? {
      guard case .wait(let instant, _) = gate.admit(at: start) else { return nil }
      return start.duration(to: instant)
    }
    gate.hurry(forLeaseUntil: start + .milliseconds(500), at: start)
    #expect(gate.admit(at: start) == .go)
    gate.refused(ServerError(message: "WRONGPASS no"), at: start)
    gate.hurry(forLeaseUntil: start + .seconds(3), at: start)
    #expect(next() == .seconds(1))
    gate.hurry(forLeaseUntil: start + .milliseconds(900), at: start)
    #expect(next() == .milliseconds(450))
    gate.hurry(forLeaseUntil: start + .milliseconds(950), at: start)
    #expect(next() == .milliseconds(450), "later is never better")
    gate.hurry(forLeaseUntil: start + .milliseconds(50), at: start)
    #expect(next() == .milliseconds(100))
  }

  @Test("A connection that has lost its login is given up, and its locks are kept")
  func lostLogin() async throws {
    let server = try RedisServer()
    defer { server.stop() }
    try RedisClient(server)("ACL", "SETUSER", "one", "on", ">pw", "~*", "&*", "+@all")
    let proxy = try FaultProxy(to: server)
    defer { proxy.stop() }
    let locker = try await Locker(url: proxy.url) {
      $0.username = "one"
      $0.password = "pw"
    }
    let lock = try await locker.acquire("key", options: LockOptions(ttl: .seconds(2)))
    proxy.setScript { message in
      guard message.direction == .replies, message.connection == 0 else { return .forward }
      return .replace(Array("-NOAUTH Authentication required.\r\n".utf8))
    }
    await eventually("a call succeeds on the next connection") {
      (try? await locker.ping()) != nil
    }
    let end = ContinuousClock.now + .seconds(2)
    await eventually("longer than the ttl") { ContinuousClock.now > end || !lock.isHeld }
    #expect(try await lock.release() == .released)
  }

  @Test("A call that ends during the login after a refusal may be tried again")
  func endsDuringLogin() async throws {
    let server = try FakeServer { command, connection, _ in
      guard command.name == "AUTH" else { return nil }
      return connection == 0 ? "-WRONGPASS invalid password\r\n" : .silence
    }
    defer { server.stop() }
    var configuration = try LockerConfiguration(url: server.url)
    configuration.password = "secret"
    // The call below ends more than a second after the next login began.
    configuration.operationTimeout = .milliseconds(2500)
    configuration.connectTimeout = .seconds(4)
    let locker = try Locker(connectingLazilyTo: configuration)
    await expectError(.refused) { try await locker.ping() }
    let attempt = await Attempt { try await locker.acquireIfAvailable("key") }
    #expect(server.connectionCount > 1, "the next login has begun")
    #expect(
      attempt.error?.code == .refused && attempt.error?.isRetryable == true,
      "\(String(describing: attempt.error))")
  }

  @Test("A wait that has time outlasts a password that is wrong for a moment")
  func waitsForNextLogin() async throws {
    let server = try RedisServer()
    defer { server.stop() }
    let (client, name) = (RedisClient(server), uniqueKey())
    try client.set(password: "first", of: name)
    let locker = try await Locker(on: server) {
      $0.username = name
      $0.password = "first"
      // The call below ends before the next login.
      $0.operationTimeout = .milliseconds(600)
    }
    try client.set(password: "second", of: name)
    try client("CLIENT", "KILL", "USER", name)
    await expectError(.refused) { try await locker.ping() }
    try client.set(password: "first", of: name)
    let attempt = await Attempt { try await locker.acquireIfAvailable("key") }
    #expect(
      attempt.error?.code == .refused && attempt.error?.isRetryable == true,
      "\(String(describing: attempt.error)) \(attempt.duration)")
    try await locker.acquire("key", options: LockOptions(timeout: .seconds(5))).release()
    // Wrong for good: the next login tells, and the wait ends long before its timeout.
    try client.set(password: "second", of: name)
    try client("CLIENT", "KILL", "USER", name)
    await expectError(.refused) { try await locker.ping() }
    // Other calls meet the later refusals; the waits learn of those all the same.
    let others = Task { while !Task.isCancelled { _ = try? await locker.ping() } }
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<10 {
        group.addTask {
          let hopeless = await Attempt {
            try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .seconds(60)))
          }
          #expect(hopeless.error?.code == .refused && hopeless.error?.isRetryable == false)
          #expect(hopeless.duration < .seconds(20))
        }
      }
    }
    others.cancel()
  }

  @Test("A password that is wrong for a moment loses no lock, even with a short ttl")
  func wrongForAMoment() async throws {
    let server = try RedisServer()
    defer { server.stop() }
    let (client, name) = (RedisClient(server), uniqueKey())
    try client.set(password: "first", of: name)
    let locker = try await Locker(on: server) {
      $0.username = name
      $0.password = "first"
    }
    let lock = try await locker.acquire("held", options: LockOptions(ttl: .seconds(1)))
    try client.set(password: "second", of: name)
    try client("CLIENT", "KILL", "USER", name)
    await eventually("a login is refused") { try server.errors("WRONGPASS") > 0 }
    try client.set(password: "first", of: name)
    let end = ContinuousClock.now + .milliseconds(1500)
    await eventually("longer than the ttl") { ContinuousClock.now > end || !lock.isHeld }
    #expect(lock.isHeld)
    #expect(try await lock.release() == .released)
  }
}

extension RedisClient {
  /// Makes a user with all permissions, or changes its password.
  fileprivate func set(password: String, of user: String) throws {
    try self("ACL", "SETUSER", user, "on", "resetpass", ">\(password)", "~*", "&*", "+@all")
  }
}
