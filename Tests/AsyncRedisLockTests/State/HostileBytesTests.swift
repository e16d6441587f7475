import FaultProxy
import Foundation
import Testing

@testable import AsyncRedisLock

@Suite("Bytes from a hostile server", .timeLimit(.minutes(5)))
struct HostileBytesTests {
  @Test(
    "Bytes behind a reply are noticed, even a single one",
    arguments: ["", "+", "*", "+OK"]
  )
  func leftOver(_ text: String) throws {
    let (server, client) = try FakeWire.pair()
    var stream = try CommandStream(
      on: SocketStream(adopting: FileDescriptor(adopting: client)),
      mayRepeatPassword: { _ in false })
    func say(_ text: String) throws -> [Reply] {
      server.write(Array(text.utf8))
      _ = try stream.read()
      var replies: [Reply] = []
      while let reply = try stream.nextReply() { replies.append(reply) }
      return replies
    }
    #expect(try say("+OK\r\n:1\r\n" + text) == [.status("OK"), .integer(1)])
    let isNoticed = stream.hasUnparsedBytes
    #expect(isNoticed != text.isEmpty)
    guard text.hasPrefix("+") else { return }
    #expect(try say("\r\n").count == 1)
    let isOver = !stream.hasUnparsedBytes
    #expect(isOver)
  }

  @Test("The last words of a server that hangs up are shown, unless they may repeat the password")
  func lastWords() throws {
    var login = Handshake(LockerConfiguration(), connectHook: nil)
    login.setLogin(username: nil, password: "S3cret-Passw0rd")
    let withheld = "words of the server that may repeat the password"
    for (words, shown) in [
      ("wrong password 'S3cret-Passw0rd'", withheld), ("3cret-Passw0rd", withheld),
      ("DENIED: protected mode", "DENIED"),
    ] {
      let (server, client) = try FakeWire.pair()
      let handshake = login
      var stream = try CommandStream(
        on: SocketStream(adopting: FileDescriptor(adopting: client)),
        mayRepeatPassword: handshake.mayRepeatPassword)
      server.write(Array("-ERR \(words)\r\n".utf8))
      server.hangUp()
      stream.append(Command("PING"))
      var failure: TransportError?
      do throws(TransportError) { try stream.write() } catch { failure = error }
      guard case .connectionLost(let text)? = failure else {
        Issue.record("\(String(describing: failure))")
        continue
      }
      #expect(text.contains(shown) && !text.contains("cret"))
    }
  }

  @Test("Bytes of replies are read the same at once, in place, and one by one, by hiredis")
  func smallReplies() throws {
    let texts = [
      "+OK\r\n", ":0\r\n", ":-1\r\n", ":1234567890123456\r\n", "$-1\r\n", "$0\r\n\r\n",
      "$5\r\nab\r\nc\r\n", "$2\r\n\u{e9}\r\n", "*0\r\n", "*2\r\n:7\r\n*2\r\n:1\r\n:0\r\n",
      "*2\r\n$1\r\na\r\n*-1\r\n", "*1\r\n*1\r\n*1\r\n:5\r\n", "-ERR no\r\n", "+\r\n",
      "$\(5000)\r\n\(String(repeating: "x", count: 5000))\r\n", ":9223372036854775807\r\n",
    ]
    func read(_ bytes: [UInt8], pieces: Int) throws -> [Reply] {
      let (server, client) = try FakeWire.pair()
      var stream = try CommandStream(
        on: SocketStream(adopting: FileDescriptor(adopting: client)),
        mayRepeatPassword: { _ in false })
      var replies: [Reply] = []
      for start in stride(from: 0, to: bytes.count, by: pieces) {
        server.write(Array(bytes[start..<min(start + pieces, bytes.count)]))
        _ = try stream.read()
        while let reply = try stream.nextReply() { replies.append(reply) }
      }
      return replies
    }
    let all = Array(texts.joined().utf8)
    let first = try read(all, pieces: all.count)
    #expect(first.count == texts.count)
    #expect(try read(all, pieces: 1) == first)
    #expect(try read(all, pieces: 7) == first)
  }

  @Test("A flood of an endless stream of messages ends the conversation")
  func flood() async throws {
    let (server, client) = try FakeWire.pair()
    let login = Handshake(LockerConfiguration(), connectHook: nil)
    let socket = try MessageStream(
      on: SocketStream(adopting: FileDescriptor(adopting: client)), handshake: login, .plain,
      channels: ["c"])
    let message = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$9\r\n1 1 t 1:a\r\n"
    let piece = Array(String(repeating: message, count: 1000).utf8)
    Thread.detachNewThread {
      server.write(Array("*0\r\n+OK\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n".utf8))
      while server.write(piece) == piece.count {}
    }
    defer { server.hangUp() }
    let deadline = ContinuousClock.now + .inTime
    #expect(throws: TransportError.self) {
      // If the system makes the server write no faster than this reads, each call gets a part.
      while ContinuousClock.now < deadline { _ = try socket.receive() }
    }
    #expect(ContinuousClock.now < deadline)
  }
}

@Suite("The replies to a login", .timeLimit(.minutes(2)))
struct LoginTests {
  private static let denial = "WRONGPASS invalid username-password pair or user is disabled."

  private static func error(_ message: String) -> Reply { .error(ServerError(message: message)) }

  @Test(
    "A denial of the inbox is believed at each place among the replies", arguments: 0..<4)
  func denied(place: Int) {
    var configuration = LockerConfiguration(password: "wrong")
    configuration.database = 1
    let login = Handshake(configuration, connectHook: nil)
    var replies = Array(repeating: Reply.status("OK"), count: 4)
    replies[place] = Self.error(Self.denial)
    #expect(throws: TransportError.self) { try login.check(replies) }
  }

  @Test("Replies to a login are hidden if they may repeat the password", arguments: 0..<2)
  func hidden(place: Int) {
    let configuration = LockerConfiguration(password: "zq7 kx9", database: 1)
    let login = Handshake(configuration, connectHook: nil)
    var replies = Array(repeating: Reply.status("OK"), count: 3)
    replies[place] = Self.error("ERR the words `zq7 kx9` mean nothing here")
    let error = #expect(throws: TransportError.self) { try login.check(replies) }
    #expect(error.map { "\($0)".contains("the server refused the login") } == true)
    #expect(error.map { "\($0)".contains("zq7") } == false)
  }

  @Test("Replies of a server that does not know a command are shown without its arguments")
  func unknownCommand() {
    let error = ServerError(
      message: "ERR unknown command `AUTH`, with args beginning with: `zq7 kx9`")
    #expect(error.message == "ERR unknown command `AUTH`")
  }

  @Test("Replies to a login tell of a missing database, with or without a password")
  func shown() {
    let configuration = LockerConfiguration(password: "zq7 kx9", database: 99)
    let login = Handshake(configuration, connectHook: nil)
    let error = #expect(throws: TransportError.self) {
      try login.check([.status("OK"), Self.error("ERR DB index is out of range"), .status("OK")])
    }
    #expect(error.map { "\($0)".contains("DB index is out of range") } == true)
  }

  @Test(
    "An error that shares a word with the password means the same without that word",
    arguments: [
      ("acce55", "NOPERM No permissions to access a key", true),
      ("user-s3cret", "NOPERM this user has no permissions to access one of the keys used", true),
      ("this", "NOPERM this user has no permissions to run the 'evalsha' command", false),
    ])
  func meaning(password: String, text: String, isAboutKeys: Bool) throws {
    let login = Handshake(LockerConfiguration(password: Password(password)), connectHook: nil)
    let error = try #require(login.conceal(Self.error(text)).error)
    #expect(!error.message.contains(password.prefix(4)) || isAboutKeys)
    #expect(StoreFailure(error).isAboutKeys == isAboutKeys)
    #expect(StoreFailure(ServerError(message: text)).isAboutKeys == isAboutKeys)
    let unknown = login.conceal(Self.error("ERR unknown command 'EVAL' \(password)"))
    #expect(unknown.error?.message.contains("unknown command") == true)
    let counter = login.conceal(Self.error("ERR \(password) increment or decrement would overflow"))
    #expect(counter.error?.isAboutFenceCounter == true)
  }

  @Test(
    "Replies to a login show no password even in another reply's place",
    arguments: ["ERR unknown command `AUTH`, with args: `zq7 kx9`", "WORSE:zq7 kx9", "zq7 kx9"])
  func shifted(_ text: String) throws {
    let login = Handshake(LockerConfiguration(password: "zq7 kx9"), connectHook: nil)
    let concealed = login.conceal(Self.error(text)).error
    #expect(concealed?.code == .generic && concealed?.message.contains("zq7") == false)
    let (server, client) = try FakeWire.pair()
    let socket = try MessageStream(
      on: SocketStream(adopting: FileDescriptor(adopting: client)), handshake: login, .plain,
      channels: ["c"])
    server.write(Array("+OK\r\n*0\r\n+OK\r\n-\(text)\r\n".utf8))
    let error = #expect(throws: TransportError.self) {
      while true { _ = try socket.receive() }
    }
    #expect(error.map { "\($0)".contains("zq7") } == false)
  }

  @Test(
    "A password is not shown either if it changes in an error, or combines with what is before it",
    arguments: [
      ("\u{301}ecretpass", "ERR bad arguments a\u{301}ecretpass"),
      ("ab\necretpass", "NOAUTH cannot log in with 'ab ecretpass'"),
      ("\r\necretpass", "ERR invalid password '  ecretpass'"),
      ("\r\n\r\nab", "ERR invalid password '    ab'"),
      ("a\"b\"c", "ERR invalid password a\\\"b\\\"c"),
      ("'''ecretpass", "ERR invalid password \\\\'\\\\'\\\\'ecretpass"),
      (
        "a" + String(repeating: "\u{301}", count: 200) + "ecretpass",
        "ERR invalid password 'a" + String(repeating: "\u{301}", count: 200)
      ),
    ])
  func changed(password: String, text: String) throws {
    let login = Handshake(LockerConfiguration(password: Password(password)), connectHook: nil)
    let shown = login.conceal(Self.error(text)).error
    #expect(shown?.message.contains("withheld") == true)
    let nested = login.conceal(.array([.integer(1), .array([Self.error(text)])]))
    #expect(nested == .array([.integer(1), .array([.error(try #require(shown))])]))
  }

  @Test("Replies to a login are shown unchanged if they contain no password")
  func others() {
    let login = Handshake(LockerConfiguration(password: "zq7 kx9"), connectHook: nil)
    let error = Self.error("OOM command not allowed when used memory > 'maxmemory'.")
    #expect(login.conceal(error) == error)
    #expect(login.conceal(.status("zq7 kx9")) == .status("zq7 kx9"))
  }
}
