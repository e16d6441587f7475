import AsyncRedisLock
import FaultProxy
import Foundation
import Testing

@Suite("An unreachable server", .timeLimit(.minutes(2)))
struct UnreachableServerTests {
  @Test("If a server hangs up on an idle connection, there is no SIGPIPE, and the next call works")
  func finThenReset() async {
    await #expect(processExitsWith: .success) {
      let server = try FakeServer()
      defer { server.stop() }
      let locker = try await Locker(url: server.url)
      for round in 0..<3 {
        try await locker.acquire(uniqueKey()).release()
        server.perform(
          FakeAnswer(.finish, .pause(.milliseconds(50)), .reset), on: round)
        await eventually { server.isOver(round) }
      }
      try await locker.acquire(uniqueKey()).release()
      #expect(server.connectionCount == 4)
    }
  }

  @Test("If a server hangs up as soon as it accepts, there is no SIGPIPE")
  func hangsUpAtOnce() async {
    await #expect(processExitsWith: .success) {
      // A Unix socket breaks already at the first write.
      let server = try FakeServer(
        .unixSocket, welcome: { $0 < 5 ? FakeAnswer(.hangUp) : .silence })
      defer { server.stop() }
      let locker = try await Locker(url: server.url) { $0.connectTimeout = .seconds(10) }
      try await locker.acquire(uniqueKey()).release()
      #expect(server.connectionCount == 6)
    }
  }

  @Test("If a server resets its connections under load, there is no SIGPIPE")
  func resetsUnderLoad() async {
    await #expect(processExitsWith: .success) {
      let server = try FakeServer { _, _, index in index == 20 ? FakeAnswer(.reset) : nil }
      defer { server.stop() }
      let locker = try await Locker(url: server.url)
      let outcomes = await withTaskGroup(of: Bool.self, returning: [Bool].self) { group in
        for _ in 0..<8 {
          group.addTask {
            var isAsExpected = true
            for _ in 0..<25 {
              let attempt = await Attempt { _ = try await locker.inspect(uniqueKey()) }
              if attempt.error?.code != .unreachable, attempt.value == nil { isAsExpected = false }
            }
            return isAsExpected
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      #expect(outcomes == Array(repeating: true, count: 8))
      // A reset fails all requests in flight, at most one for each task.
      #expect(server.connectionCount > 4)
    }
  }

  @Test(
    "If a server's backlog is full, calls are retried until it has room",
    arguments: [FakeListener.Kind.tcp, .unixSocket])
  func full(_ kind: FakeListener.Kind) async throws {
    let refusal = "-ERR max number of clients reached\r\n" + FakeAnswer(.hangUp)
    let isFull = Shared(true)
    let server = try FakeServer(kind, welcome: { _ in isFull.value ? refusal : .silence })
    defer { server.stop() }
    let attempt = await Attempt {
      try await Locker(url: server.url) {
        $0.connectTimeout = .milliseconds(300)
        $0.password = "secret"
      }
    }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.isRetryable == true)
    #expect(attempt.error?.message.contains("max number of clients") == true)
    #expect(attempt.duration < .inTime)
    #expect(server.connectionCount > 1)

    async let locker = Locker(url: server.url) { $0.connectTimeout = .seconds(10) }
    let former = server.connectionCount
    await eventually { server.connectionCount > former }
    isFull.value = false
    try await locker.acquire(uniqueKey()).release()
  }

  @Test(
    "If a proxy hangs up because it does not know a command of the login, the error asks for it")
  func proxyWithoutHello() async throws {
    // As Twemproxy does, which gives no reason.
    let proxy = try FakeServer(greeting: FakeAnswer(.hangUp))
    defer { proxy.stop() }
    let attempt = await Attempt {
      try await Locker(url: proxy.url) { $0.connectTimeout = .milliseconds(300) }
    }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.isRetryable == true)
    #expect(
      attempt.error?.message.contains("a proxy that does not know HELLO") == true,
      "\(attempt.result)")
  }

  @Test("If a server does not listen, connecting fails in time with a typed error")
  func refused() async throws {
    let listener = try FakeListener(.tcp, isOpen: false) { _ in }
    defer { listener.stop() }
    let attempt = await Attempt {
      try await Locker(url: listener.address.url) { $0.connectTimeout = .milliseconds(200) }
    }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.phase == .connect)
    #expect(attempt.error?.isRetryable == true)
    #expect(attempt.error?.message.contains("refused") == true)
    #expect(attempt.duration < .inTime)
  }

  @Test("If a server's socket does not exist, connecting fails in time with a typed error")
  func noSuchSocket() async {
    let attempt = await Attempt {
      try await Locker(url: "unix:///nosuch/\(uniqueKey())") {
        $0.connectTimeout = .milliseconds(200)
      }
    }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.message.contains("No such file") == true)
    #expect(attempt.duration < .inTime)
  }

  @Test("If a server's name is unknown, connecting fails in time with a typed error")
  func unknownHost() async {
    let attempt = await Attempt {
      try await Locker(url: "redis://nosuch.invalid") { $0.connectTimeout = .milliseconds(500) }
    }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.message.contains("nosuch.invalid") == true)
    #expect(attempt.duration < .inTime)
  }

  @Test(
    "If a server goes away, the next call fails in time, and calls work again once it is back")
  func goesAway() async throws {
    let isDown = Shared(false)
    let server = try FakeServer(welcome: { _ in
      isDown.value ? FakeAnswer(.reset) : .silence
    })
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    isDown.value = true
    server.perform(FakeAnswer(.reset), on: 0)
    await eventually { server.isOver(0) }
    let attempt = await Attempt {
      try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .milliseconds(200)))
    }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.phase == .acquire)
    #expect(attempt.error?.waited ?? .zero >= .milliseconds(199))
    #expect(attempt.duration < .inTime)
    isDown.value = false
    try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .seconds(5))).release()
  }
}
