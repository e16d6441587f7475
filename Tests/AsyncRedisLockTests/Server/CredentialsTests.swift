import FaultProxy
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("Credentials that are asked for", .timeLimit(.minutes(2)))
struct CredentialsTests {
  private struct NoToken: Error, CustomStringConvertible {
    var description = "the token service is down"
  }

  @Test("Each connection asks for credentials, and a rotation loses no lock", .redisServer())
  func rotation() async throws {
    let (server, admin, user) = (RedisServer.current, RedisClient(.current), uniqueKey("user"))
    let password = Shared("first")
    let count = Shared(0)
    try admin.rotate(user, to: "first")
    let locker = try await Locker(
      on: server,
      .init {
        count.change { $0 += 1 }
        return (user, Password(password.value))
      })
    let lock = try await locker.acquire(uniqueKey(), options: LockOptions(ttl: .seconds(2)))
    #expect(count.value == 1)
    for round in 1...3 {
      password.value = "next-\(round)"
      try admin.rotate(user, to: "next-\(round)")
      #expect(try await locker.ping() >= .zero, "a connection that is logged in stays")
      #expect(count.value == round)
      try admin("CLIENT", "KILL", "USER", user)
      await eventually { (try? await locker.ping()) != nil }
      #expect(count.value == round + 1)
    }
    #expect(try server.errors("WRONGPASS") == 0)
    #expect(try await lock.release() == .released)
  }

  @Test("A refused password is asked for once more at once, and no call fails", .redisServer())
  func wrongThenRight() async throws {
    let (admin, user) = (RedisClient(.current), uniqueKey("user"))
    let count = Shared(0)
    try admin.rotate(user, to: "right")
    let locker = try await Locker(
      on: .current,
      .init {
        count.change { $0 += 1 }
        return (user, count.value == 1 ? "wrong" : "right")
      })
    #expect(count.value == 2)
    #expect(try await locker.ping() >= .zero)
    #expect(try RedisServer.current.errors("WRONGPASS") == 1)
  }

  @Test(
    "A user that is locked out is told, and tries no more than a login a second", .redisServer())
  func lockedOut() async throws {
    let (server, admin, user) = (RedisServer.current, RedisClient(.current), uniqueKey("user"))
    let asked = Recorder<String>()
    try admin.rotate(user, to: "right")
    let password = Shared("right")
    let locker = try await Locker(
      on: server,
      .init {
        asked.record(password.value)
        return (user, Password(password.value))
      })
    password.value = "hunter2-wrong"
    try admin("CLIENT", "KILL", "USER", user)
    let (before, askedBefore) = (try server.calls("auth"), asked.values.count)
    let start = ContinuousClock.now
    while ContinuousClock.now - start < .milliseconds(1500) {
      let attempt = await Attempt { try await locker.acquireIfAvailable(uniqueKey()) }
      #expect(attempt.error?.code == .refused && attempt.error?.serverCode == "WRONGPASS")
      #expect(attempt.error?.message.contains("hunter2") == false)
      await Task.yield()
    }
    // The first and the second login, and one for each second that has begun.
    let most = Int((ContinuousClock.now - start) / .seconds(1)) + 3
    #expect(try server.calls("auth") - before <= most)
    #expect(asked.values.count - askedBefore <= most)
    password.value = "right"
    await eventually { (try? await locker.ping()) != nil }
  }

  @Test("The inbox asks for credentials of its own, and asks once more", .redisServer())
  func inbox() async throws {
    let (server, admin, user) = (RedisServer.current, RedisClient(.current), uniqueKey("user"))
    let count = Shared(0)
    try admin.rotate(user, to: "right")
    let holder = try await Locker(on: server)
    let lock = try await holder.acquire("held", options: .patient)
    let locker = try await Locker(
      on: server,
      .init {
        count.change { $0 += 1 }
        return (user, count.value == 2 ? "wrong" : "right")
      })
    let waiter = Task { try await locker.acquire("held", options: .patient) }
    await eventually("the inbox is subscribed") {
      try admin("PUBSUB", "NUMPAT").integer == 0
        && admin("CLIENT", "LIST", "TYPE", "pubsub")
          .string?.contains("user=\(user)") == true
    }
    #expect(count.value == 3)
    try await lock.release()
    try await waiter.value.release()
  }

  @Test("What the closure throws is told, and a later answer is used", .redisServer())
  func throwsFirst() async throws {
    let (admin, user) = (RedisClient(.current), uniqueKey("user"))
    try admin.rotate(user, to: "right")
    let isDown = Shared(true)
    let configuration = try LockerConfiguration(
      server: .current,
      .init {
        if isDown.value { throw NoToken() }
        return (user, "right")
      })
    let attempt = await Attempt { try await Locker(configuration: configuration) }
    #expect(attempt.error?.code == .unreachable && attempt.error?.isRetryable == true)
    #expect(attempt.error?.message.contains("credentials: the token service is down") == true)
    let locker = try Locker(connectingLazilyTo: configuration)
    await expectError(.unreachable) { try await locker.ping() }
    isDown.value = false
    await eventually { (try? await locker.ping()) != nil }
  }

  @Test("An error that repeats a password that was used is told in other words", .redisServer())
  func throwsPassword() async throws {
    let (admin, user) = (RedisClient(.current), uniqueKey("user"))
    try admin.rotate(user, to: "zq7-secret")
    let isDown = Shared(false)
    let locker = try await Locker(
      on: .current,
      .init {
        if isDown.value { throw NoToken(description: "cannot renew ZQ7-SECRET") }
        return (user, "zq7-secret")
      })
    isDown.value = true
    try admin("CLIENT", "KILL", "USER", user)
    var messages: [String] = []
    await eventually {
      let attempt = await Attempt { try await locker.ping() }
      messages.append(attempt.error?.message ?? "")
      return messages.contains { $0.contains("withheld") }
    }
    #expect(messages.allSatisfy { !$0.lowercased().contains("zq7") })
  }

  @Test("A bad answer of the closure is told with its rule", .redisServer())
  func badAnswers() async throws {
    let answers: [(LockerConfiguration.Credentials.Answer, String)] = [
      ((nil, ""), "password must not be empty"), (("", "pw"), "user must not be empty"),
      ((nil, "hunter2\0"), "password has a NUL"), (("a\0", "hunter2"), "user has a NUL"),
    ]
    for (answer, rule) in answers {
      let configuration = try LockerConfiguration(server: .current, .init { answer })
      let attempt = await Attempt { try await Locker(configuration: configuration) }
      #expect(attempt.error?.code == .unreachable)
      #expect(attempt.error?.message.contains(rule) == true, "\(String(describing: attempt.error))")
      #expect(attempt.error?.message.contains("hunter2") == false)
    }
  }

  @Test(
    "A closure that blocks for ever is called twice at most, and delays no close", .redisServer())
  func blocks() async throws {
    let gate = Gate()
    defer { gate.open() }
    let configuration = try LockerConfiguration(
      server: .current,
      .init {
        gate.pass()
        return (nil, "pw")
      }
    ) { $0.connectTimeout = .milliseconds(100) }
    let locker = try Locker(connectingLazilyTo: configuration)
    var messages: Set<String> = []
    await eventually {
      let attempt = await Attempt { try await locker.ping() }
      #expect(attempt.error?.code == .unreachable && attempt.duration < .inTime)
      messages.insert(attempt.error?.message ?? "")
      return messages.contains { $0.contains("2 earlier calls") }
    }
    #expect(gate.count == 2)
    let closing = await Attempt { await locker.close() }
    #expect(closing.duration < .inTime)
  }

  @Test(
    "A closure that does not return in time is cancelled, and the error says so", .redisServer())
  func late() async throws {
    let isCancelled = Shared(false)
    let configuration = try LockerConfiguration(
      server: .current,
      .init {
        do {
          try await Task.sleep(for: .seconds(100))
        } catch {
          isCancelled.value = true
        }
        return (nil, "pw")
      }
    ) { $0.connectTimeout = .milliseconds(300) }
    let attempt = await Attempt { try await Locker(configuration: configuration) }
    #expect(attempt.error?.code == .unreachable && attempt.duration < .inTime)
    let message = attempt.error?.message ?? ""
    #expect(message.contains("did not return within the connect timeout"), "\(message)")
    await eventually { isCancelled.value }
  }

  @Test(
    "While a closure blocks, locks of other lockers live, and a lost lock is told", .redisServer())
  func othersLive() async throws {
    let (admin, user) = (RedisClient(.current), uniqueKey("user"))
    try admin.rotate(user, to: "pw")
    let (gate, isBlocking) = (Gate(), Shared(false))
    defer { gate.open() }
    let locker = try await Locker(
      on: .current,
      .init {
        if isBlocking.value { gate.pass() }
        return (user, "pw")
      })
    let other = try await Locker(on: .current)
    let doomed = try await locker.acquire(uniqueKey(), options: LockOptions(ttl: .seconds(1)))
    let safe = try await other.acquire(uniqueKey(), options: LockOptions(ttl: .seconds(1)))
    isBlocking.value = true
    try admin("CLIENT", "KILL", "USER", user)
    let loss = await Attempt { try await doomed.waitUntilLost() }
    #expect(loss.duration < .inTime)
    #expect(gate.count > 0)
    #expect(safe.isHeld)
    #expect(try await safe.release() == .released)
  }

  /// A locker that waits for its credentials for longer than a test may take.
  private static func patientLocker(
    _ closure: @escaping @Sendable () async throws -> LockerConfiguration.Credentials.Answer
  ) throws -> Locker {
    let configuration = try LockerConfiguration(server: .current, .init(closure)) {
      $0.connectTimeout = .seconds(60)
      $0.operationTimeout = .seconds(60)
    }
    return try Locker(connectingLazilyTo: configuration)
  }

  @Test("Closures that block, however many, delay no closure of another locker", .redisServer())
  func manyBlock() async throws {
    let (admin, user) = (RedisClient(.current), uniqueKey("user"))
    try admin.rotate(user, to: "pw")
    let gate = Gate()
    defer { gate.open() }
    let calls = try (0..<40).map { _ in
      let locker = try Self.patientLocker {
        gate.pass()
        return (user, "pw")
      }
      return Task { try await locker.ping() }
    }
    await eventually { gate.count == calls.count }
    let healthy = await Attempt {
      try await Locker(
        on: .current,
        .init {
          // Also when it goes on after a pause.
          await Task.yield()
          return (user, "pw")
        })
    }
    #expect(healthy.error == nil && healthy.duration < .inTime, "\(healthy.result)")
    gate.open()
    for call in calls { _ = try await call.value }
  }

  @Test("A close during a call of the closure cancels the call and returns in time", .redisServer())
  func closedMeanwhile() async throws {
    let (hasBegun, isCancelled) = (Shared(false), Shared(false))
    let locker = try Self.patientLocker {
      hasBegun.value = true
      do {
        try await Task.sleep(for: .seconds(100))
      } catch {
        isCancelled.value = true
      }
      return (nil, "pw")
    }
    let call = Task { try await locker.ping() }
    await eventually { hasBegun.value }
    let closing = await Attempt { await locker.close() }
    #expect(closing.duration < .inTime)
    await eventually("the closure's task is cancelled") { isCancelled.value }
    await expectError(.closed) { try await call.value }
  }

  @Test(
    "What the closure has captured ends with the locker, not with the connect timeout",
    .redisServer())
  func captured() async throws {
    final class Canary: Sendable {}
    weak var canary: Canary?
    do {
      let strong = Canary()
      canary = strong
      let locker = try Self.patientLocker { [strong] in
        withExtendedLifetime(strong) { (nil, "pw") }
      }
      _ = await Attempt { try await locker.ping() }
      await locker.close()
    }
    await eventually { canary == nil }
  }

  @Test("A caller that is cancelled during a call of the closure gets on at once", .redisServer())
  func cancelledCaller() async throws {
    let gate = Gate()
    defer { gate.open() }
    let locker = try Self.patientLocker {
      gate.pass()
      return (nil, "pw")
    }
    let call = Task { try await locker.acquire(uniqueKey(), options: .patient) }
    await eventually { gate.count == 1 }
    call.cancel()
    let outcome = await Attempt { try await call.value }
    #expect(throws: CancellationError.self) { try outcome.result.get() }
    #expect(outcome.duration < .inTime)
    await locker.close()
  }

  @Test("Credentials exclude a user and a password, and show neither")
  func configuration() throws {
    let credentials = LockerConfiguration.Credentials { ("u", "hunter2") }
    var configuration = LockerConfiguration(password: "hunter2", credentials: credentials)
    let error = #expect(throws: LockError.self) { try configuration.validate() }
    #expect(error?.code == .invalidOptions && error?.message.contains("exclude") == true)
    configuration.password = nil
    #expect(throws: Never.self) { try configuration.validate() }
    configuration.username = "u"
    #expect(throws: LockError.self) { try configuration.validate() }
    var dumped = ""
    dump(configuration, to: &dumped)
    #expect(!dumped.contains("hunter2") && "\(credentials)" == "<credentials>")
    let copy = credentials
    #expect(copy == credentials && credentials != .init { ("u", "hunter2") })
  }

  @Test("A second login follows a refusal at once, but only once until a login succeeds")
  func secondLogin() {
    func refusal(_ message: String) -> TransportError { .refused(ServerError(message: message)) }
    let wrong = refusal("WRONGPASS no")
    var login = SecondLogin(isPossible: true)
    let others = [TransportError.timedOut, refusal("ERR DB index is out of range")].map {
      login.begins(after: $0)
    }
    #expect(others == [false, false])
    let three = (0..<3).map { _ in [login.begins(after: wrong), login.isDue] }
    #expect(three == [[true, true], [false, false], [false, false]])
    login.loggedIn()
    let afterSuccess = login.begins(after: refusal("NOAUTH no"))
    #expect(afterSuccess)
    var fixed = SecondLogin(isPossible: false)
    fixed.loggedIn()
    let ofFixed = fixed.begins(after: wrong)
    #expect(!ofFixed)
  }
}

extension RedisClient {
  /// Makes a user with all permissions and one password, or changes its password.
  fileprivate func rotate(_ user: String, to password: String) throws {
    try self("ACL", "SETUSER", user, "on", "resetpass", ">\(password)", "~*", "&*", "+@all")
  }
}

extension LockerConfiguration {
  fileprivate init(
    server: RedisServer, _ credentials: Credentials,
    _ change: (inout LockerConfiguration) -> Void = { _ in }
  ) throws {
    try self.init(url: server.url)
    (username, password) = (nil, nil)
    self.credentials = credentials
    change(&self)
  }
}

extension Locker {
  fileprivate convenience init(
    on server: RedisServer, _ credentials: LockerConfiguration.Credentials
  ) async throws {
    try await self.init(configuration: LockerConfiguration(server: server, credentials))
  }
}
