import AsyncRedisLock
import FaultProxy
import Foundation
import Testing

@Suite("An answer of the wrong kind", .timeLimit(.minutes(2)))
struct WrongAnswerTests {
  private static let kinds = [
    "+OK\r\n", "+QUEUED\r\n", ":0\r\n", ":1\r\n", ":-1\r\n", ":7\r\n", "$0\r\n\r\n", "$2\r\nOK\r\n",
    "$-1\r\n", "*-1\r\n", "*0\r\n", "*1\r\n:1\r\n", "*2\r\n:1\r\n:1\r\n", "*2\r\n:1\r\n$1\r\nx\r\n",
    "*2\r\n:0\r\n:0\r\n", "*3\r\n:0\r\n:0\r\n:0\r\n", "*3\r\n:0\r\n$1\r\nx\r\n$1\r\nx\r\n",
    "*2\r\n$1\r\nx\r\n$1\r\n1\r\n", "*2\r\n*0\r\n*0\r\n",
  ]

  /// The commands of an acquisition, and the kinds of answers that are right for them.
  enum Step: String, CaseIterable, Sendable {
    case set = "SET"
    case increment = "INCR"
    case getRange = "GETRANGE"

    func isRight(_ answer: String) -> Bool {
      switch self {
      case .set: answer == "+OK\r\n" || answer.hasPrefix("$-1") || answer.hasPrefix("*-1")
      case .increment: answer.hasPrefix(":") && answer != ":-1\r\n"
      case .getRange: answer.hasPrefix("$") && answer != "$-1\r\n"
      }
    }
  }

  @Test(
    "After a wrong answer to one of its commands, an acquisition gets no lock and is undone",
    arguments: Step.allCases)
  func acquire(_ step: Step) async throws {
    for answer in Self.kinds where !step.isRight(answer) {
      let comment: Comment = "\(answer.debugDescription)"
      let server = try FakeServer { command, _, _ in
        command.name == step.rawValue ? .send(answer) : nil
      }
      defer { server.stop() }
      let locker = try await Locker(url: server.url)
      // The second request is a script, which gets a good answer.
      let options = LockOptions(retry: .milliseconds(1), timeout: .seconds(5))
      let lock = try await locker.acquire(uniqueKey(), options: options)
      let tokens = server.commands.joined().filter { $0.name == "SET" }.map { $0.words[2] }
      #expect(tokens.count == 1, comment)
      #expect(!tokens.contains(lock.token), comment)
      await eventually(comment) { tokens.allSatisfy(server.hasTakenBack) }
      try await lock.release()
    }
  }

  @Test(
    "If the answer to SET comes twice, there is no lock, with or without fencing tokens",
    arguments: [true, false])
  func twice(isFencing: Bool) async throws {
    let server = try FakeServer { command, _, _ in
      command.name == "SET" ? .send("+OK\r\n+OK\r\n") : nil
    }
    defer { server.stop() }
    var configuration = try LockerConfiguration(url: server.url)
    configuration.isFencingEnabled = isFencing
    let locker = try await Locker(configuration: configuration)
    let options = LockOptions(retry: .milliseconds(1), timeout: .seconds(5))
    let lock = try await locker.acquire(uniqueKey(), options: options)
    let tokens = server.commands.joined().filter { $0.name == "SET" }.map { $0.words[2] }
    #expect(!tokens.isEmpty && !tokens.contains(lock.token))
    await eventually { tokens.allSatisfy(server.hasTakenBack) }
    try await lock.release()
  }

  @Test(
    "If an error comes twice, a claim of several keys ends, and its keys are given back",
    arguments: ["LOADING Redis is loading the dataset in memory", "READONLY a replica"])
  func errorTwice(_ error: String) async throws {
    let server = try FakeServer { command, connection, _ in
      guard command.name == "EVALSHA", command.words[2] == "3", connection == 0,
        let question = command.words.last
      else { return nil }
      // The error belongs to another request; the claim's own answer comes after the error was believed.
      return FakeAnswer.send("-\(error)\r\n") + FakeAnswer(.pause(.milliseconds(50)))
        + .send("*2\r\n:\(question)\r\n*2\r\n:1\r\n:5\r\n")
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let options = LockOptions(retry: .milliseconds(1), timeout: .seconds(5), ttl: .seconds(60))
    let lock = try await locker.acquire([uniqueKey(), uniqueKey()], options: options)
    let tokens = server.commands[0].filter { $0.words.count > 2 && $0.words[2] == "3" }
      .map { $0.words[6] }
    #expect(!tokens.isEmpty && !tokens.contains(lock.token))
    // In the claim itself, and in its clean-up.
    await eventually {
      tokens.allSatisfy { token in
        server.commands.joined().count { $0.words.contains(token) } > 1
      }
    }
    try await lock.release()
  }

  @Test("A claim that a replica has refused is undone unless a number shows that it was meant")
  func unprovenRefusal() async throws {
    let server = try FakeServer { command, connection, _ in
      guard connection == 0 else { return nil }
      if command.name == "SET" { return "-READONLY a replica\r\n" }
      // The request for a number.
      return command.name == "EVAL" && command.words[2] == "0" ? "-NOPERM no\r\n" : nil
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let options = LockOptions(retry: .milliseconds(1), timeout: .seconds(20))
    let lock = try await locker.acquire(uniqueKey(), options: options)
    let tokens = server.commands[0].filter { $0.name == "SET" }.map { $0.words[2] }
    #expect(tokens.count == 1 && !tokens.contains(lock.token))
    #expect(server.commands[0].contains { $0.name == "EVAL" && $0.words[2] == "0" })
    await eventually { tokens.allSatisfy(server.hasTakenBack) }
    try await lock.release()
  }

  @Test(
    "A release that an error has put off, and that was carried out nevertheless, says that it released"
  )
  func releaseBehindForeignError() async throws {
    let server = try FakeServer { command, connection, _ in
      // The release of two keys, with their queues; other scripts name other keys.
      guard command.name == "EVALSHA", command.words[2] == "7", let question = command.words.last
      else { return nil }
      guard connection == 0 else { return "*2\r\n:0\r\n:0\r\n" }
      return "-LOADING Redis is loading the dataset in memory\r\n"
        + FakeAnswer(.pause(.milliseconds(5)))
        + .send("*2\r\n:\(question)\r\n*2\r\n:1\r\n:0\r\n")
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let lock = try await locker.acquire([uniqueKey(), uniqueKey()])
    #expect(lock.isHeld)
    #expect(try await lock.release() == .released)
  }

  @Test("If GETRANGE answers with another token, there is no lock, and the acquisition is undone")
  func foreignToken() async throws {
    let server = try FakeServer { command, _, _ in
      command.name == "GETRANGE" ? .bulk("another client") : nil
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    #expect(try await locker.acquireIfAvailable(uniqueKey()) == nil)
  }

  @Test("A wrong answer to an extension leaves the lock as it was")
  func extend() async throws {
    for answer in Self.kinds where answer != "*1\r\n:1\r\n" {
      let server = try FakeServer { command, _, _ in
        command.name == "EVALSHA" ? .send(answer) : nil
      }
      defer { server.stop() }
      let locker = try await Locker(url: server.url)
      let lock = try await locker.acquire(uniqueKey(), options: LockOptions(extend: nil))
      let former = lock.remaining
      let attempt = await Attempt { try await lock.extend(by: .seconds(60)) }
      #expect(attempt.error?.code == .unreachable, "\(answer.debugDescription)")
      #expect(lock.isHeld)
      #expect(lock.remaining < former)
    }
  }

  @Test("A wrong answer to a release, an inspection or a forced release is a typed error")
  func others() async throws {
    for answer in Self.kinds {
      let server = try FakeServer { command, _, _ in
        command.name == "EVALSHA" ? .send(answer) : nil
      }
      defer { server.stop() }
      let locker = try await Locker(url: server.url)
      let lock = try await locker.acquire(uniqueKey(), options: LockOptions(extend: nil))
      if ![":1\r\n", "*2\r\n:1\r\n:1\r\n", "*2\r\n:0\r\n:0\r\n"].contains(answer) {
        let attempt = await Attempt { try await lock.release() }
        #expect(attempt.error?.code == .unreachable, "\(answer.debugDescription)")
        #expect(attempt.error?.phase == .release)
      }
      // A string is a holder's value; null means that there is no holder.
      if !answer.hasPrefix("$"), answer != "*-1\r\n" {
        let attempt = await Attempt { try await locker.forceRelease(uniqueKey()) }
        #expect(attempt.error?.code == .unreachable, "\(answer.debugDescription)")
        #expect(attempt.error?.phase == .forceRelease)
      }
      // Null means that the key is free.
      if !["$-1\r\n", "*-1\r\n"].contains(answer) {
        let attempt = await Attempt { try await locker.inspect(uniqueKey()) }
        #expect(attempt.error?.code == .unreachable, "\(answer.debugDescription)")
        #expect(attempt.error?.phase == .inspect)
      }
    }
  }

  @Test("A wrong answer ends the connection, because the next answer could be another caller's")
  func desynchronised() async throws {
    let (first, second) = (uniqueKey("first"), uniqueKey("second"))
    let server = try FakeServer { command, connection, _ in
      guard command.name == "EVALSHA" else { return nil }
      // One answer too many, so that each later answer comes one request too late.
      let answer =
        "*5\r\n" + FakeAnswer.bulk("holder of \(command.words[3])") + ":1000\r\n:0\r\n*0\r\n:0\r\n"
      guard command.words[3] == first, connection == 0 else { return answer }
      return ":1\r\n" + FakeAnswer(.pause(.milliseconds(400))) + answer
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let attempt = await Attempt { try await locker.inspect(first) }
    #expect(attempt.error?.code == .unreachable)
    #expect(try await locker.inspect(second)?.holder.value == "holder of \(second)")
  }

  @Test(
    "A wrong answer to AUTH never reveals the password",
    arguments: [
      "-ERR unknown command 'AUTH', with args beginning with: 'pass' 'w0rd-of-the-test' \r\n",
      "-ERR unknown command `auth`, with args beginning with: `w0rd-of-the-test`, \r\n",
      "-ERR Protocol error: w0rd-of-the-test\r\n", "-WRONGPASS w0rd-of-the-test is wrong\r\n",
      "-NOPERM w0rd-of-the-test\r\n", "-w0rd-of-the-test\r\n", "-LOADING w0rd-of-the-test\r\n",
    ])
  func password(_ answer: String) async throws {
    let server = try FakeServer { command, _, _ in command.name == "AUTH" ? .send(answer) : nil }
    defer { server.stop() }
    let attempt = await Attempt {
      try await Locker(url: server.url) {
        $0.password = "w0rd-of-the-test"
        $0.connectTimeout = .milliseconds(100)
      }
    }
    let error = try #require(attempt.error)
    var dumped = ""
    dump(error, to: &dumped)
    for text in ["\(error)", "\(String(reflecting: error))", error.message, dumped] {
      #expect(!text.contains("w0rd"))
    }
  }
}
