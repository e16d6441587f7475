import AsyncRedisLock
import FaultProxy
import Foundation
import Testing

@Suite("A hostile server", .timeLimit(.minutes(2)))
struct HostileServerTests {
  // MARK: Time

  /// The requests that follow once a lock is held, and the others.
  enum Operation: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case acquire, acquireIfAvailable, inspect, forceRelease, extend, release

    var testDescription: String { rawValue }
  }

  @Test("A server that answers in drips cannot stretch a timeout", arguments: Operation.allCases)
  func drip(_ operation: Operation) async throws {
    // The answer is complete after 10 s.
    let slow = "*2\r\n$85\r\n\(String(repeating: "x", count: 85))\r\n:100\r\n"
    try await expectTimeout(of: operation) { .drip(slow, every: .milliseconds(100)) }
  }

  @Test(
    "A server that does not answer at all cannot stretch a timeout", arguments: Operation.allCases)
  func silence(_ operation: Operation) async throws {
    try await expectTimeout(of: operation) { .silence }
  }

  private func expectTimeout(
    of operation: Operation, _ answer: @escaping @Sendable () -> FakeAnswer
  ) async throws {
    let key = uniqueKey()
    let server = try FakeServer { command, _, _ in
      // With the first extension, it also asks for the use of memory.
      let isAffected =
        operation == .acquire || operation == .acquireIfAvailable
        ? !["CLIENT", "EVAL"].contains(command.name)
        : ["EVALSHA", "INFO"].contains(command.name)
      return isAffected ? answer() : nil
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url) { $0.operationTimeout = .milliseconds(300) }
    let options = LockOptions(timeout: .milliseconds(300), extend: nil)
    let attempt: Attempt<Void>
    switch operation {
    case .acquire: attempt = await Attempt { _ = try await locker.acquire(key, options: options) }
    case .acquireIfAvailable:
      attempt = await Attempt { _ = try await locker.acquireIfAvailable(key, options: options) }
    case .inspect: attempt = await Attempt { _ = try await locker.inspect(key) }
    case .forceRelease: attempt = await Attempt { _ = try await locker.forceRelease(key) }
    case .extend:
      let lock = try await locker.acquire(key, options: options)
      attempt = await Attempt { try await lock.extend(by: .seconds(5)) }
      #expect(lock.isHeld)
    case .release:
      let lock = try await locker.acquire(key, options: options)
      attempt = await Attempt { _ = try await lock.release() }
      #expect(!lock.isHeld)
    }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.isRetryable == true)
    #expect(attempt.duration >= .milliseconds(299), "\(String(describing: attempt.error))")
    #expect(attempt.duration < .inTime)
  }

  @Test("If a server accepts and stays silent, connecting fails in time")
  func neverAnswers() async throws {
    let server = try FakeServer { _, _, _ in .silence }
    defer { server.stop() }
    let attempt = await Attempt {
      try await Locker(url: server.url) { $0.connectTimeout = .milliseconds(200) }
    }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.phase == .connect)
    #expect(attempt.duration < .inTime)
  }

  @Test(
    "If a server hangs up within a reply, the reply is not believed, and the request is repeated")
  func cut() async throws {
    let key = uniqueKey()
    let reply = "*5\r\n$6\r\nholder\r\n:1000\r\n:0\r\n*0\r\n:0\r\n"
    for count in 0...reply.utf8.count {
      let server = try FakeServer { command, connection, _ in
        guard command.name == "EVALSHA" else { return nil }
        return connection == 0 ? .cut(reply, after: count) : .send(reply)
      }
      defer { server.stop() }
      let locker = try await Locker(url: server.url)
      let attempt = await Attempt { try await locker.inspect(key) }
      if attempt.value != nil {
        #expect(attempt.value??.holder.value == "holder", "after \(count) bytes")
      } else {
        #expect(attempt.error?.code == .unreachable, "after \(count) bytes")
      }
      // After a complete reply, this request may meet the hang-up.
      let again = await Attempt { try await locker.inspect(key) }
      let status = again.error == nil ? try again.result.get() : try await locker.inspect(key)
      #expect(status?.holder.value == "holder", "after \(count) bytes")
    }
  }

  /// Possible answers to a `SET`, with names for the output of the tests.
  enum Nonsense: String, CaseIterable, Sendable {
    case nothing, garbage, negativeLength, tooManyReplies, end

    var answer: FakeAnswer {
      switch self {
      case .nothing: .silence
      case .garbage: "garbage\r\n"
      case .negativeLength: "$-7\r\n"
      case .tooManyReplies: ":1\r\n:1\r\n:1\r\n:1\r\n"
      case .end: FakeAnswer(.finish)
      }
    }
  }

  @Test(
    "An acquisition is undone on the line on which the server got it",
    arguments: Nonsense.allCases)
  func takenBackInPlace(_ nonsense: Nonsense) async throws {
    let server = try FakeServer { command, connection, _ in
      guard connection == 0, !["CLIENT", "EVAL"].contains(command.name) else { return nil }
      return command.name == "SET" ? nonsense.answer : .silence
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url) { $0.operationTimeout = .milliseconds(100) }
    let options = LockOptions(timeout: .milliseconds(200), extend: nil)
    _ = await Attempt { try await locker.acquire(uniqueKey(), options: options) }
    await eventually("the first line is given up") { server.isOver(0) }
    let token = try #require(server.commands[0].first { $0.name == "SET" }).words[2]
    // On another line, the clean-up might overtake the acquisition, which would stay then.
    #expect(server.commands[0].contains { $0.name.hasPrefix("EVAL") && $0.words.contains(token) })
  }

  // MARK: Answers to other requests

  @Test("A reply that comes after the timeout is never taken for another caller's answer")
  func lateReply() async throws {
    let (late, next) = (uniqueKey("late"), uniqueKey("next"))
    let server = try FakeServer { command, _, _ in
      // The other replies queue up behind this one.
      command.name == "SET" && command.words[1] == late
        ? FakeAnswer(.pause(.milliseconds(300))) + "+OK\r\n" : nil
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let attempt = await Attempt {
      try await locker.acquire(late, options: LockOptions(timeout: .milliseconds(50)))
    }
    #expect(attempt.error?.code == .unreachable)
    let lock = try await locker.acquire(next)
    #expect(server.connectionCount == 1)
    let attempts = server.commands[0].filter { $0.name == "SET" && $0.words[1] == next }
    #expect(attempts.map { $0.words[2] } == [lock.token])
    let given = server.commands[0].filter { $0.name == "SET" && $0.words[1] == late }
    await eventually("the first acquisition is undone") {
      given.allSatisfy { server.hasTakenBack($0.words[2]) }
    }
  }

  @Test("A reply that comes after a cancellation is never taken for another caller's answer")
  func cancelledReply() async throws {
    let (late, next) = (uniqueKey("late"), uniqueKey("next"))
    let server = try FakeServer { command, _, _ in
      guard command.name == "EVALSHA" else { return nil }
      let isLate = command.words[3] == late
      let answer =
        "*5\r\n" + FakeAnswer.bulk("holder of \(command.words[3])") + ":1000\r\n:0\r\n*0\r\n:0\r\n"
      return isLate ? FakeAnswer(.pause(.milliseconds(200))) + answer : answer
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let first = Task { try await locker.inspect(late) }
    await eventually { server.commands[0].last?.words.contains(late) == true }
    first.cancel()
    await #expect(throws: CancellationError.self) { try await first.value }
    #expect(try await locker.inspect(next)?.holder.value == "holder of \(next)")
    #expect(server.connectionCount == 1)
  }

  @Test("If a server answers twice, the connection is dropped, and no caller gets a wrong answer")
  func duplicate() async throws {
    let (first, second) = (uniqueKey("first"), uniqueKey("second"))
    let server = try FakeServer { command, _, _ in
      guard command.name == "EVALSHA" else { return nil }
      let holder = "holder of \(command.words[3])"
      let answer = "*5\r\n$\(holder.utf8.count)\r\n\(holder)\r\n:1000\r\n:0\r\n*0\r\n:0\r\n"
      // Sent at once: an answer that comes after the next command cannot be told from its own.
      return .send(command.words[3] == first ? answer + answer : answer)
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let attempt = await Attempt { try await locker.inspect(first) }
    #expect(attempt.error?.code == .unreachable, "the first answer may belong to another request")
    #expect(try await locker.inspect(second)?.holder.value == "holder of \(second)")
    await eventually("the connection is dropped") { server.isOver(0) }
    #expect(server.connectionCount == 2)
  }

  @Test(
    "Unsolicited bytes from a server are ignored",
    arguments: ["+OK\r\n", "$5\r\nhe", "\r\n", "*"])
  func unsolicited(_ text: String) async throws {
    let server = try FakeServer()
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    try await locker.acquire(uniqueKey()).release()
    server.perform(.send(text), on: 0)
    let lock = try await locker.acquire(uniqueKey())
    try #require(server.connectionCount == 2)
    #expect(server.commands[1].contains { $0.words.contains(lock.token) })
    await eventually("the connection is dropped") { server.isOver(0) }
    #expect(server.connectionCount == 2)
  }

  @Test("Unsolicited bytes before a release do not make the release look late")
  func unsolicitedBeforeRelease() async throws {
    let released = Shared(false)
    let server = try FakeServer { command, _, _ in
      // Like a real server: the second release finds the key gone.
      guard command.name.hasPrefix("EVAL"), command.words.count == 9 else { return nil }
      return released.exchange(true) ? "*2\r\n:0\r\n:0\r\n" : "*2\r\n:1\r\n:0\r\n"
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let lock = try await locker.acquire(uniqueKey())
    server.perform("+OK\r\n", on: 0)
    #expect(try await lock.release() == .released)
  }

  @Test("Bytes from a server before the login are not taken for the login's answer")
  func unsolicitedWelcome() async throws {
    let server = try FakeServer { command, _, _ in
      command.name == "AUTH" ? "-WRONGPASS invalid username-password pair\r\n" : nil
    } welcome: { _ in
      "+OK\r\n"
    }
    defer { server.stop() }
    let attempt = await Attempt {
      let locker = try await Locker(url: server.url) {
        $0.password = "wrong"
        $0.connectTimeout = .milliseconds(300)
      }
      _ = try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .milliseconds(300)))
    }
    let code = try #require(attempt.error?.code)
    #expect(code == .unreachable || code == .refused)
    #expect(attempt.duration < .inTime)
  }
}

extension FakeServer {
  /// Whether the script that undoes a token was sent, with the token as its last argument.
  func hasTakenBack(_ token: String) -> Bool {
    commands.joined().contains { $0.name.hasPrefix("EVAL") && $0.words.contains(token) }
  }
}
