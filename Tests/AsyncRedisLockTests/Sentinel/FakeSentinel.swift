import FaultProxy
import Foundation
import PrivateRedis

/// A sentinel in the test process that says what a test wants.
final class FakeSentinel: Sendable {
  /// What it answers when it is asked for the primary.
  enum Answer: Sendable {
    /// A server of this machine, and the number of the failover that has made it the primary.
    case port(Int, epoch: Int = 0)
    case unknown
    case raw(String)
    case silence
  }

  private let server: FakeServer
  private let answer: Shared<Answer>
  private let pause: Shared<Duration>

  /// Starts to listen; with a password, it answers only after that.
  ///
  /// - Throws: `POSIXError`.
  init(_ answer: Answer, password: String? = nil) throws {
    let answer = Shared(answer)
    let trusted = Shared<Set<Int>>([])
    let pause = Shared(Duration.zero)
    self.answer = answer
    self.pause = pause
    server = try FakeServer(greeting: nil) { command, connection, _ in
      if command.name == "AUTH" {
        guard command.words.last == password else {
          return "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
        }
        trusted.change { $0.insert(connection) }
        return "+OK\r\n"
      }
      guard password == nil || trusted.value.contains(connection) else {
        return "-NOAUTH Authentication required.\r\n"
      }
      switch command.name {
      case "SENTINEL":
        let reply =
          command.words[1] == "MASTER"
          ? Self.description(answer.value) : Self.reply(answer.value)
        return reply.delayed(by: pause.value)
      case "SUBSCRIBE":
        let replies = command.words.dropFirst().enumerated().map { number, channel in
          "*3\r\n" + FakeAnswer.bulkText("subscribe") + FakeAnswer.bulkText(channel)
            + ":\(number + 1)\r\n"
        }
        return .send(replies.joined())
      case "PING": return "*2\r\n$4\r\npong\r\n$0\r\n\r\n"
      case "CLIENT": return "+OK\r\n"
      case "HELLO":
        return .send("*2\r\n" + FakeAnswer.bulkText("mode") + FakeAnswer.bulkText("sentinel"))
      default: return .send("-ERR unknown command '\(command.words[0])'\r\n")
      }
    }
  }

  /// The port that it listens on.
  var port: Int { URLComponents(string: server.url)?.port ?? 0 }

  /// How many connections have been made so far.
  var connectionCount: Int { server.connectionCount }

  /// How many connections have asked it for the primary.
  var questionCount: Int {
    server.commands.count { commands in commands.contains { $0.name == "SENTINEL" } }
  }

  /// The connections that listen for changes and are still there.
  var watches: [Int] { watches(of: "+switch-master") }

  private func watches(of channel: String) -> [Int] {
    server.commands.enumerated().filter { number, commands in
      commands.contains { $0.name == "SUBSCRIBE" && $0.words.contains(channel) }
        && !server.isOver(number)
    }.map(\.offset)
  }

  /// Takes its time for each answer from now on.
  func answer(after pause: Duration) { self.pause.value = pause }

  /// Names another server from now on, without a message.
  func name(_ answer: Answer) { self.answer.value = answer }

  /// Tells all that listen that a server has become the primary.
  func tellChange(to port: Int, of primary: String = "locks") {
    tell("+switch-master", "\(primary) 127.0.0.1 1 127.0.0.1 \(port)")
  }

  /// Tells all that listen what the leader of a failover tells when it has promoted a replica.
  func tellPromotion(of port: Int) {
    tell(
      "+promoted-slave", "slave 127.0.0.1:\(port) 127.0.0.1 \(port) @ locks 127.0.0.1 1")
  }

  private func tell(_ channel: String, _ text: String) {
    let message =
      "*3\r\n" + FakeAnswer.bulkText("message") + FakeAnswer.bulkText(channel)
      + FakeAnswer.bulkText(text)
    for watch in watches(of: channel) { server.perform(.send(message), on: watch) }
  }

  /// Hangs up on all that listen.
  func hangUpOnWatches() {
    for watch in watches { server.perform(FakeAnswer(.hangUp), on: watch) }
  }

  /// Hangs up on all clients and stops listening.
  func stop() { server.stop() }

  /// The URL of a locker of sentinels at some ports.
  static func url(_ ports: [Int], query: String = "") -> String {
    "redis+sentinel://" + ports.map { "127.0.0.1:\($0)" }.joined(separator: ",") + "/locks"
      + (query.isEmpty ? "" : "?" + query)
  }

  /// The answer to `SENTINEL MASTER`.
  private static func description(_ answer: Answer) -> FakeAnswer {
    switch answer {
    case .port(_, let epoch):
      .send(
        "*4\r\n" + FakeAnswer.bulkText("name") + FakeAnswer.bulkText("locks")
          + FakeAnswer.bulkText("config-epoch") + FakeAnswer.bulkText("\(epoch)"))
    case .unknown, .raw: "-ERR No such master with that name\r\n"
    case .silence: .silence
    }
  }

  private static func reply(_ answer: Answer) -> FakeAnswer {
    switch answer {
    case .port(let port, _):
      .send("*2\r\n" + FakeAnswer.bulkText("127.0.0.1") + FakeAnswer.bulkText("\(port)"))
    case .unknown: "*-1\r\n"
    case .raw(let text): .send(text)
    case .silence: .silence
    }
  }
}
