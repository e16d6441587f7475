import AsyncRedisLock
import FaultProxy
import Foundation
import Synchronization

/// A server in the test process that gives the answers a test asks for, right or wrong.
///
/// Every connection has a thread of its own, which reads commands and performs the answers one after another.
/// Commands that the test does not handle are answered as by a server with a free key.
final class FakeServer: Sendable {
  /// Decides the answer to a command; nil for the answer of a good server.
  typealias Script =
    @Sendable (_ command: FakeCommand, _ connection: Int, _ index: Int) -> FakeAnswer?

  let url: String
  private let listener: FakeListener
  private let hall: Hall

  /// Starts to listen.
  ///
  /// - Parameters:
  ///   - kind: The kind of address to listen on.
  ///   - greeting: The answer to `HELLO`, which the script and ``commands`` then do not see; nil leaves it to the
  ///     script.
  ///   - script: The answer to each command, given its number within its connection.
  ///   - welcome: The action as soon as a connection is made, given the connection's number.
  /// - Throws: `POSIXError`.
  init(
    _ kind: FakeListener.Kind = .tcp,
    greeting: FakeAnswer? = .ofPrimary,
    script: @escaping Script = { _, _, _ in nil },
    welcome: @escaping @Sendable (_ connection: Int) -> FakeAnswer = { _ in .silence }
  ) throws {
    let hall = Hall()
    self.hall = hall
    listener = try FakeListener(kind) { wire in
      let number = hall.enter(wire)
      Thread.detachNewThread {
        hall.talk(over: wire, number, greeting: greeting, welcome: welcome, script: script)
      }
    }
    url = listener.address.url
  }

  deinit { stop() }

  /// How many connections have been made so far.
  var connectionCount: Int { hall.state.withLock { $0.guests.count } }

  /// The commands received so far, connection by connection.
  var commands: [[FakeCommand]] { hall.state.withLock { $0.guests.map(\.commands) } }

  /// How many bytes the system has taken for a connection.
  func bytesSent(on connection: Int) -> Int {
    hall.state.withLock { $0.guests[connection].bytesSent }
  }

  /// Whether a connection is over, from the server's point of view.
  func isOver(_ connection: Int) -> Bool { hall.state.withLock { $0.guests[connection].isOver } }

  /// Performs an unsolicited action on a connection.
  func perform(_ answer: FakeAnswer, on connection: Int) {
    guard let wire = hall.state.withLock({ $0.guests[connection].wire }) else { return }
    _ = hall.perform(answer, over: wire, connection)
  }

  /// Hangs up on all clients and stops listening.
  func stop() {
    listener.stop()
    hall.hangUpAll()
  }
}

/// The answer of a fake server to a command, step by step.
struct FakeAnswer: Sendable, ExpressibleByStringLiteral {
  /// A step of an answer.
  enum Step: Sendable {
    case send([UInt8])
    /// Sends this many bytes at a time.
    case drip([UInt8], count: Int, every: Duration)
    /// Sends the bytes repeatedly, as long as the client takes them.
    case flood([UInt8])
    case pause(Duration)
    /// Sends FIN and goes on reading.
    case finish
    case hangUp
    /// Sends RST, on TCP.
    case reset
  }

  private(set) var steps: [Step]

  init(_ steps: Step...) { self.steps = steps }

  /// Sends the text.
  init(stringLiteral text: String) { self.init(.send(Array(text.utf8))) }

  static let silence = Self()

  /// The answer of a server that is no replica to `HELLO`.
  static let ofPrimary = Self.send(
    "*4\r\n" + bulkText("mode") + bulkText("standalone") + bulkText("role") + bulkText("master"))

  static func send(_ text: String) -> Self { Self(.send(Array(text.utf8))) }

  static func flood(_ text: String) -> Self { Self(.flood(Array(text.utf8))) }

  static func bulk(_ text: String) -> Self { .send(bulkText(text)) }

  /// A bulk string for use in an array.
  static func bulkText(_ text: String) -> String { "$\(text.utf8.count)\r\n\(text)\r\n" }

  static func drip(_ text: String, _ count: Int = 1, every pause: Duration) -> Self {
    Self(.drip(Array(text.utf8), count: count, every: pause))
  }

  /// Sends the start of the text, then hangs up.
  static func cut(_ text: String, after count: Int) -> Self {
    Self(.send(Array(text.utf8.prefix(count))), .hangUp)
  }

  /// The same answer after a pause.
  func delayed(by pause: Duration) -> Self {
    var answer = self
    answer.steps.insert(.pause(pause), at: 0)
    return answer
  }

  /// The same answer behind the number of the request, if the command is a script and this is not an error.
  func ofScript(_ command: FakeCommand) -> Self {
    guard command.name.hasPrefix("EVAL"), let question = command.words.last else { return self }
    let start = Array("*2\r\n:\(question)\r\n".utf8)
    var answer = self
    for (index, step) in steps.enumerated() {
      switch step {
      case .send(let bytes) where bytes.first != UInt8(ascii: "-"):
        answer.steps[index] = .send(start + bytes)
      case .drip(let bytes, let count, let pause) where bytes.first != UInt8(ascii: "-"):
        answer.steps[index] = .drip(start + bytes, count: count, every: pause)
      case .send, .drip, .flood, .finish, .hangUp, .reset: break
      case .pause: continue
      }
      break
    }
    return answer
  }

  /// Performs one answer after the other.
  static func + (first: Self, second: Self) -> Self {
    var both = first
    both.steps += second.steps
    return both
  }
}

/// The connections of a fake server, kept apart from it so that their threads do not keep it alive.
private final class Hall: Sendable {
  struct Guest {
    var wire: FakeWire?
    var commands: [FakeCommand] = []
    var bytesSent = 0
    var isOver = false
  }

  struct State {
    var guests: [Guest] = []
    var manners = Manners()
  }

  let state = Locked(State())

  func enter(_ wire: FakeWire) -> Int {
    state.withLock { state in
      state.guests.append(Guest(wire: wire))
      return state.guests.count - 1
    }
  }

  func hangUpAll() {
    for guest in state.withLock({ $0.guests }) { guest.wire?.hangUp() }
  }

  /// Serves a connection until it is over.
  func talk(
    over wire: FakeWire, _ number: Int, greeting: FakeAnswer?, welcome: (Int) -> FakeAnswer,
    script: FakeServer.Script
  ) {
    var goesOn = perform(welcome(number), over: wire, number)
    var splitter = MessageSplitter()
    var index = 0
    while goesOn, let bytes = wire.receive() {
      splitter.feed(bytes)
      while goesOn, let message = splitter.next() {
        let command = FakeCommand(message)
        if command.name == "HELLO", let greeting {
          goesOn = perform(greeting, over: wire, number)
          continue
        }
        let usual = state.withLock { state in
          state.guests[number].commands.append(command)
          return state.manners.answer(to: command, on: number)
        }
        let answer = (script(command, number, index) ?? usual).ofScript(command)
        goesOn = perform(answer, over: wire, number)
        index += 1
      }
    }
    state.withLock { state in
      state.guests[number].wire = nil
      state.guests[number].isOver = true
    }
  }

  /// Performs an answer; returns false if that ends the connection.
  func perform(_ answer: FakeAnswer, over wire: FakeWire, _ number: Int) -> Bool {
    for step in answer.steps {
      switch step {
      case .send(let bytes):
        guard send(bytes, over: wire, number) else { return false }
      case .drip(let bytes, let count, let pause):
        for start in stride(from: 0, to: bytes.count, by: count) {
          if start > 0 { Thread.sleep(forTimeInterval: pause / .seconds(1)) }
          let part = Array(bytes[start..<min(start + count, bytes.count)])
          guard send(part, over: wire, number) else { return false }
        }
      case .flood(let bytes):
        let piece = Array(repeatElement(bytes, count: 65_536 / bytes.count + 1).joined())
        while send(piece, over: wire, number) {}
        return false
      case .pause(let duration): Thread.sleep(forTimeInterval: duration / .seconds(1))
      case .finish: wire.finish()
      case .hangUp:
        wire.hangUp()
        return false
      case .reset:
        wire.reset()
        return false
      }
    }
    return true
  }

  private func send(_ bytes: [UInt8], over wire: FakeWire, _ number: Int) -> Bool {
    let count = wire.write(bytes)
    state.withLock { $0.guests[number].bytesSent += count }
    return count == bytes.count
  }
}

/// The answers of a good server to this library: every key is free, every lock is held.
private struct Manners {
  private var tokens: [Int: String] = [:]
  private var counter = 1_000_000

  mutating func answer(to command: FakeCommand, on connection: Int) -> FakeAnswer {
    switch command.name {
    case "SET":
      tokens[connection] = command.words[2]
      return "+OK\r\n"
    case "INCR":
      counter += 1
      return .send(":\(counter)\r\n")
    case "GETRANGE": return .bulk(tokens[connection] ?? "")
    case "EVAL", "EVALSHA": return answer(toScript: command)
    default: return "+OK\r\n"
    }
  }

  private mutating func answer(toScript command: FakeCommand) -> FakeAnswer {
    let keyCount = Int(command.words[2]) ?? 0
    let arguments = command.words.dropFirst(3 + keyCount).dropLast()
    switch arguments.count {
    case keyCount / 2 where arguments.count > 1 && arguments.allSatisfy { $0.hasPrefix("rl1") }:
      return "*0\r\n"  // releases in a group
    case 0, 1: return "$-1\r\n"  // inspect, force-release: the key is free
    case 2 where Int(arguments.first ?? "") != nil:  // fence
      counter += 1
      return .bulk("\(counter)")
    case 2...3 where arguments.first?.hasPrefix("rl1") == false:  // release, clean-up
      return "*2\r\n:1\r\n:0\r\n"
    case 4, 7:  // acquire, poll
      counter += 1
      return "*2\r\n:1\r\n" + .bulk("\(counter)")
    default: return "*1\r\n:1\r\n"  // extend
    }
  }
}
