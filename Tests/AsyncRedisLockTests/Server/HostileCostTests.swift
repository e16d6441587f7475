import FaultProxy
import Foundation
import Testing

#if THREAD_SANITIZER
  private let isSlowed = true
#else
  private let isSlowed = false
#endif

/// Measures the cost of a hostile server, in a separate process for each attack.
@Suite(
  "The cost of an attack by a hostile server", .timeLimit(.minutes(5)),
  .disabled(if: isSlowed, "The thread sanitizer distorts all numbers."))
struct HostileCostTests {
  /// The bytes that are sent instead of an answer.
  struct Attack: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let answer: FakeAnswer

    init(_ name: String, _ answer: FakeAnswer) {
      testDescription = name
      self.answer = answer
    }

    static let all = [
      Attack("arrays in each other, without an end", .flood("*1\r\n")),
      Attack("300,000 arrays in each other", .send(String(repeating: "*1\r\n", count: 300_000))),
      Attack("an array of 2^31 elements", .send("*2147483647\r\n") + .flood(":1\r\n")),
      Attack("an array of 2^32 elements", .send("*4294967295\r\n") + .flood("*0\r\n")),
      Attack("arrays that may be as long as they are", .flood("*1024\r\n")),
      Attack("a bulk of 2^63 bytes", .send("$9223372036854775807\r\n") + .flood("x")),
      Attack("a line without an end", .send("+") + .flood("x")),
      Attack("a number without an end", .send(":") + .flood("1")),
      Attack("errors without an end", .flood("-ERR no\r\n")),
      Attack("answers without an end", .flood("+OK\r\n:1\r\n*1\r\n:1\r\n")),
      Attack("pushes of RESP3", .flood(">3\r\n+message\r\n+c\r\n+m\r\n")),
      Attack("the other types of RESP3", .flood("%1\r\n+k\r\n_\r\n~1\r\n#t\r\n(1\r\n,1.5\r\n")),
      Attack("garbage without an end", .flood("\u{1}\u{7f}garbage")),
      Attack("white space without an end", .flood("\r\n")),
      Attack(
        "drips",
        .drip("*2\r\n$85\r\n" + String(repeating: "x", count: 85), every: .milliseconds(40))),
      Attack("an answer followed by an unsolicited one", .send("+OK\r\n+OK\r\n")),
      Attack("a hang-up", FakeAnswer(.hangUp)),
    ]
  }

  /// The moment of the attack.
  enum Moment: String, CaseIterable, Sendable {
    /// Before any command.
    case welcome
    /// Instead of the answer to the login.
    case login
    /// Instead of the answers to commands.
    case command
    /// By the listening connection: instead of the confirmation, and after it.
    case inboxLogin, inbox

    /// The name of the ordeal for the process.
    var ordeal: String {
      switch self {
      case .welcome, .login: "connect"
      case .command: "commands"
      case .inboxLogin, .inbox: "wait"
      }
    }

    /// The calls that the process has to report.
    var calls: [String] {
      switch self {
      case .welcome, .login: ["connect"]
      case .command:
        ["extend", "release", "acquire", "several", "available", "inspect", "force", "close"]
      case .inboxLogin, .inbox: ["wait", "idle"]
      }
    }
  }

  @Test(
    "An attack costs no more than its timeout, a second of work and 64 MiB", arguments: Attack.all)
  func cost(of attack: Attack) async throws {
    try await withThrowingTaskGroup { group in
      for moment in Moment.allCases {
        group.addTask { try await Self.expectCheap(attack, at: moment) }
      }
      try await group.waitForAll()
    }
  }

  private static func expectCheap(_ attack: Attack, at moment: Moment) async throws {
    try await expectCheap(moment) { _ in attack.answer }
  }

  @Test("An attack by well-formed grants costs no more than other attacks")
  func grants() async throws {
    try await Self.expectCheap(.inbox) { channel in
      let grant = FakeAnswer.bulkText("1000000000000000 1 token 3:key")
      return .flood("*3\r\n$7\r\nmessage\r\n" + FakeAnswer.bulkText(channel) + grant)
    }
  }

  /// In KiB; the address sanitizer keeps freed memory for a while, and surrounds each allocation.
  #if ADDRESS_SANITIZER
    private static let mostMemory = 512 << 10
  #else
    private static let mostMemory = 64 << 10
  #endif

  /// Makes an attack that may depend on the channel of the listening connection.
  private static func expectCheap(
    _ moment: Moment, _ answer: @escaping @Sendable (String) -> FakeAnswer
  ) async throws {
    let server = try server(moment, answer)
    defer { server.stop() }
    let report = await ordeal(server.url, moment.ordeal)
    #expect(report.status == 0, "\(moment): the process ended with \(report.status)")
    let lines = report.output.split(separator: "\n").map { $0.split(separator: " ") }
    try #require(
      lines.map { $0.first.map(String.init) } == moment.calls, "\(moment): \(report.output)")
    for line in lines {
      try #require(line.count == 5, "\(line)")
      let numbers = try line[1...3].map { try #require(Int($0)) }
      #expect(.milliseconds(numbers[0]) < .inTime, "\(moment): \(line[0]) took \(numbers[0]) ms")
      #expect(numbers[1] < 1000, "\(moment): \(line[0]) cost \(numbers[1]) ms of work")
      #expect(numbers[2] < Self.mostMemory, "\(moment): the process has grown by \(numbers[2]) KiB")
      let allowed = ["success", "unreachable", "refused", "timeout", "lost", "closed"]
      #expect(allowed.contains { $0 == line[4] }, "\(moment): \(line[0]) ended with \(line[4])")
    }
  }

  private static func server(
    _ moment: Moment, _ answer: @escaping @Sendable (String) -> FakeAnswer
  ) throws -> FakeServer {
    let contended = "*5\r\n:0\r\n$16\r\n1000000000000000\r\n$6\r\nholder\r\n:60000\r\n:0\r\n"
    return try FakeServer(.unixSocket) { command, _, index in
      let isHostile = command.words.contains { $0.hasPrefix("hostile") }
      switch moment {
      case .welcome: return nil
      case .login: return index == 0 ? answer("") : nil
      case .command:
        let isLate = command.words.contains("late") && command.name.hasPrefix("EVAL")
        return isHostile || isLate ? answer("") : nil
      case .inboxLogin, .inbox:
        if command.name == "SUBSCRIBE" {
          let channel = command.words[1]
          let confirmation = "*3\r\n$9\r\nsubscribe\r\n" + FakeAnswer.bulkText(channel) + ":1\r\n"
          return moment == .inbox ? .send(confirmation) + answer(channel) : answer(channel)
        }
        guard isHostile else { return nil }
        switch command.name {
        case "SET": return "$-1\r\n"
        case "GETRANGE": return .bulk("holder")
        default: return .send(contended)
        }
      }
    } welcome: { _ in
      moment == .welcome ? answer("") : .silence
    }
  }

  /// Runs the helper program, and returns its output.
  private static func ordeal(_ url: String, _ name: String) async -> (status: Int32, output: String)
  {
    let process = Process()
    let directory = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    process.executableURL = directory.appending(path: "LockTaker")
    process.arguments = [url, "ordeal", name]
    let pipe = Pipe()
    process.standardOutput = pipe
    return await withCheckedContinuation { continuation in
      process.terminationHandler = { process in
        // The output has a few lines, which fit into a pipe.
        let output = (try? pipe.fileHandleForReading.readToEnd()) ?? nil
        continuation.resume(
          returning: (process.terminationStatus, String(decoding: output ?? Data(), as: UTF8.self)))
      }
      do {
        try process.run()
      } catch {
        continuation.resume(returning: (-1, "\(error)"))
      }
    }
  }
}
