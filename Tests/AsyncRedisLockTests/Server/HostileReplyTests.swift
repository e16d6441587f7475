import AsyncRedisLock
import FaultProxy
import Foundation
import Testing

@Suite("A reply", .timeLimit(.minutes(2)), .serialized)
struct HostileReplyTests {
  /// A reply that answers nothing, or a broken one.
  struct Payload: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: String

    init(_ name: String, _ text: String) {
      testDescription = name
      self.text = text
    }

    static let all = [
      Payload("a huge bulk", "$9223372036854775807\r\n" + repeated("x", 4 << 20)),
      Payload("a bulk of 2 GB", "$2147483647\r\n" + repeated("x", 4 << 20)),
      Payload("an array of 2^31 elements", "*2147483647\r\n"),
      Payload("an array of 2^32 elements", "*4294967295\r\n"),
      Payload("an array of 2^63 elements", "*9223372036854775807\r\n:1\r\n"),
      Payload("60,000 arrays in each other", repeated("*1\r\n", 60_000) + ":1\r\n"),
      Payload("60,000 arrays in each other, cut off", repeated("*1\r\n", 60_000)),
      Payload("a bulk of negative length", "$-2\r\n"),
      Payload("an array of negative length", "*-5\r\n"),
      Payload("a number that overflows", ":99999999999999999999999999\r\n"),
      Payload("a number that is none", ":12abc\r\n"),
      Payload("garbage", "\u{1}\u{0}\u{7f}garbage\r\n"),
      Payload("an HTTP response", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
      Payload("a push of RESP3", ">2\r\n+message\r\n+hello\r\n"),
      Payload("a map of RESP3", "%1\r\n+key\r\n+value\r\n"),
      Payload("a null of RESP3", "_\r\n"),
      Payload("a Boolean of RESP3", "#t\r\n"),
      Payload("a double of RESP3", ",1.5\r\n"),
      Payload("a line without its end", repeated("+x", 2 << 20)),
      Payload("half of a reply", "$10\r\nhal"),
      Payload("an empty array", "*0\r\n"),
      Payload("an array of nothing", "*-1\r\n"),
      Payload("an array of errors", "*3\r\n-ERR a\r\n-ERR b\r\n-ERR c\r\n"),
      Payload("arrays in an array", "*3\r\n*0\r\n*1\r\n:1\r\n$-1\r\n"),
      Payload("a negative number", ":-9223372036854775808\r\n"),
      Payload("a long status", "+\(repeated("x", 500_000))\r\n"),
      Payload("a long error", "-ERR \(repeated("x", 500_000))\r\n"),
      Payload("an error of one long word", "-\(repeated("X", 500_000))\r\n"),
      Payload("an error without a text", "-\r\n"),
      Payload("an error that rewrites the terminal", "-ERR \u{1b}[2J\u{8}\u{7}\u{1}\r\n"),
      Payload("a status that rewrites the terminal", "+\u{1b}[2J\u{8}\u{7}\u{1}\r\n"),
      Payload("NOSCRIPT to everything", "-NOSCRIPT No matching script.\r\n"),
    ]

    private static func repeated(_ text: String, _ count: Int) -> String {
      String(repeating: text, count: count)
    }
  }

  /// The command that gets the reply, and its call.
  enum Target: String, CaseIterable, Sendable {
    case login, connectHook, set, increment, getRange, poll
    case inspect, forceRelease, extend, release

    func matches(_ command: FakeCommand) -> Bool {
      switch self {
      case .login: command.name == "CLIENT"
      case .connectHook: command.name == "EVAL"
      case .set: command.name == "SET"
      case .increment: command.name == "INCR"
      case .getRange: command.name == "GETRANGE"
      case .poll, .inspect, .forceRelease, .extend, .release: command.name == "EVALSHA"
      }
    }
  }

  @Test(
    "After a nonsensical reply, the call ends in time with a lock or a typed error, and the next call works",
    arguments: Payload.all)
  func nonsense(_ payload: Payload) async throws {
    // Runs in a separate process, so that a crash is recognized.
    let text: String = payload.text
    await #expect(processExitsWith: .success) { [text = text as String] in
      try await withThrowingTaskGroup { group in
        for target in Target.allCases {
          group.addTask {
            let duration = try await Self.suffer(text, as: target)
            #expect(duration < .inTime, "as the answer in \(target)")
          }
        }
        try await group.waitForAll()
      }
    }
  }

  /// Makes a call that gets the reply, and another after the server has recovered.
  private static func suffer(_ text: String, as target: Target) async throws -> Duration {
    let isHostile = Shared(target == .login || target == .connectHook)
    let server = try FakeServer(.unixSocket) { command, _, _ in
      target.matches(command) && isHostile.value ? .send(text) : nil
    }
    defer { server.stop() }
    let (key, options) = (uniqueKey(), LockOptions(timeout: .milliseconds(200), extend: nil))
    func connect(within timeout: Duration) async throws -> Locker {
      try await Locker(url: server.url) {
        $0.operationTimeout = .milliseconds(200)
        $0.connectTimeout = timeout
      }
    }
    guard !isHostile.value else {
      let attempt = await Attempt {
        _ = try await connect(within: .milliseconds(200)).acquire(key, options: options)
      }
      expectTyped(attempt)
      isHostile.value = false
      try await connect(within: .seconds(5)).acquire(key).release()
      return attempt.duration
    }
    let locker = try await connect(within: .seconds(5))
    let lock = try await locker.acquire(key, options: options)
    isHostile.value = true
    let attempt = await Attempt {
      switch target {
      case .login, .connectHook, .set, .increment, .getRange:
        _ = try await locker.acquire(key, options: options)
      case .poll: _ = try await locker.acquire([key, "other"], options: options)
      case .inspect: _ = try await locker.inspect(key)
      case .forceRelease: _ = try await locker.forceRelease(key)
      case .extend: try await lock.extend(by: .seconds(1))
      case .release: _ = try await lock.release()
      }
    }
    expectTyped(attempt)
    isHostile.value = false
    try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .seconds(5))).release()
    return attempt.duration
  }

  private static func expectTyped(_ attempt: Attempt<Void>) {
    guard attempt.value == nil else { return }
    guard let error = attempt.error else {
      Issue.record("not a LockError: \(attempt.result)")
      return
    }
    #expect([.unreachable, .refused, .lost, .timeout].contains(error.code), "\(error)")
    #expect("\(error)".utf8.count < 2000, "an error of \("\(error)".utf8.count) bytes")
    #expect(error.serverCode?.utf8.count ?? 0 < 100)
    #expect(!"\(error)".utf8.contains { $0 < 0x20 }, "control characters: \(error)")
  }

  /// Elements that are short enough each, but too many together.
  enum Element: String, CaseIterable, Sendable {
    case arraysOfNumbers, strings

    var text: String {
      switch self {
      case .arraysOfNumbers: "*1024\r\n" + String(repeating: ":1\r\n", count: 1024)
      case .strings: "$4000\r\n" + String(repeating: "x", count: 4000) + "\r\n"
      }
    }
  }

  @Test("An endless reply is cut off before it fills the memory", arguments: Element.allCases)
  func endless(_ element: Element) async throws {
    // Some 8 MB; the two arrays around them would take 250 times more.
    let text = "*1024\r\n*1024\r\n" + String(repeating: element.text, count: 2000)
    let server = try FakeServer(.unixSocket) { command, _, _ in
      command.name == "EVALSHA" ? .send(text) : nil
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let attempt = await Attempt { _ = try await locker.inspect(uniqueKey()) }
    #expect(attempt.error?.code == .unreachable)
    await eventually { server.isOver(0) }
    #expect(server.bytesSent(on: 0) < 3 << 20)
  }
}
