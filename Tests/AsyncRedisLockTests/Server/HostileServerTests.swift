import AsyncRedisLock
import FaultProxy
import Foundation
import Testing

@Suite("A hostile server", .timeLimit(.minutes(2)))
struct HostileServerTests {
  // MARK: Time

  /// What is asked of the server once a lock is held, and the rest.
  enum Operation: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case acquire, acquireIfAvailable, inspect, forceRelease, extend, release

    var testDescription: String { rawValue }
  }

  @Test("A server that answers in drips cannot stretch a timeout", arguments: Operation.allCases)
  func drip(_ operation: Operation) async throws {
    // Complete after 10 s.
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
      // With the first extension it also asks how memory is used.
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

  @Test("A server that accepts and says nothing ends the connecting in time")
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
    "A server that hangs up in the middle of a reply is asked again, and is not believed before")
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
      // After a whole reply, the hanging up may meet this one.
      let again = await Attempt { try await locker.inspect(key) }
      let status = again.error == nil ? try again.result.get() : try await locker.inspect(key)
      #expect(status?.holder.value == "holder", "after \(count) bytes")
    }
  }

  /// What can be said to a `SET`, with a name for the output of the tests.
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
    "An acquisition is taken back on the line on which the server got it",
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
    // On another line it may come before the acquisition, and that would stay then.
    #expect(server.commands[0].contains { $0.name.hasPrefix("EVAL") && $0.words.contains(token) })
  }

  // MARK: Answers that are not one's own

  @Test("A reply that comes after the timeout is no other caller's answer")
  func lateReply() async throws {
    let (late, next) = (uniqueKey("late"), uniqueKey("next"))
    let server = try FakeServer { command, _, _ in
      // The others' replies queue up behind this one.
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
    await eventually("what may be left of the first is taken back") {
      given.allSatisfy { server.hasTakenBack($0.words[2]) }
    }
  }

  @Test("A reply that comes after the caller was cancelled is no other caller's answer")
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

  @Test("A server that answers twice loses the connection, and no answer is the wrong one's")
  func duplicate() async throws {
    let (first, second) = (uniqueKey("first"), uniqueKey("second"))
    let server = try FakeServer { command, _, _ in
      guard command.name == "EVALSHA" else { return nil }
      let holder = "holder of \(command.words[3])"
      let answer = "*5\r\n$\(holder.utf8.count)\r\n\(holder)\r\n:1000\r\n:0\r\n*0\r\n:0\r\n"
      // In one go: what comes behind the next command nobody can tell from its answer.
      return .send(command.words[3] == first ? answer + answer : answer)
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let attempt = await Attempt { try await locker.inspect(first) }
    #expect(attempt.error?.code == .unreachable, "whose answer the first was nobody knows")
    #expect(try await locker.inspect(second)?.holder.value == "holder of \(second)")
    await eventually("the connection is dropped") { server.isOver(0) }
    #expect(server.connectionCount == 2)
  }

  @Test(
    "A server that speaks unasked is not listened to",
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

  @Test("A server that spoke unasked before a release does not make that release look late")
  func unsolicitedBeforeRelease() async throws {
    let released = Shared(false)
    let server = try FakeServer { command, _, _ in
      // As a real one: who comes second finds the key gone.
      guard command.name.hasPrefix("EVAL"), command.words.count == 9 else { return nil }
      return released.exchange(true) ? "*2\r\n:0\r\n:0\r\n" : "*2\r\n:1\r\n:0\r\n"
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let lock = try await locker.acquire(uniqueKey())
    server.perform("+OK\r\n", on: 0)
    #expect(try await lock.release() == .released)
  }

  @Test("A server that speaks before it is asked is not believed to have answered the login")
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
  /// Whether the script was sent that gives a token back: the one that has it for its last argument.
  func hasTakenBack(_ token: String) -> Bool {
    commands.joined().contains { $0.name.hasPrefix("EVAL") && $0.words.contains(token) }
  }
}
