import AsyncRedisLock
import Foundation
import Synchronization
import Testing

@testable import PrivateRedis

@Suite("A private server", .timeLimit(.minutes(2)))
struct PrivateRedisTests {
  @Test("A private server answers over a Unix socket")
  func unixSocket() throws {
    let server = try RedisServer()
    let path = try #require(server.socketPath)
    #expect(server.url == "unix://\(path)")
    #expect(path.utf8.count < 100)
    #expect(server.port == nil)
    try setAndGet(on: server)
  }

  @Test("A private server answers over TCP")
  func tcp() throws {
    let server = try RedisServer(listen: .tcp)
    let port = try #require(server.port)
    #expect(server.url == "redis://127.0.0.1:\(port)")
    #expect(server.socketPath == nil)
    try setAndGet(on: server)
  }

  @Test("A private server answers with every kind of value")
  func values() throws {
    let server = try RedisServer()
    let client = RedisClient(server)
    #expect(try client("PING") == .status("PONG"))
    #expect(try client("INCR", "number") == .integer(1))
    #expect(try client("GET", "nothing") == .null)
    #expect(try client("SET", "text", "a\r\nb ü").string == "OK")
    #expect(try client("GET", "text") == .string("a\r\nb ü"))
    let script = "return {1, {'x', false}, redis.error_reply('ERR mine')}"
    #expect(
      try client("EVAL", script, "0")
        == .array([.integer(1), .array([.string("x"), .null]), .error("ERR mine")]))
    let long = String(repeating: "x", count: 1_000_000)
    try client("SET", "long", long)
    #expect(try client("GET", "long").string == long)
    #expect(throws: RedisError.server("ERR value is not an integer or out of range")) {
      try client("INCR", "text")
    }
    #expect(try client("DEBUG", "SLEEP", "0").string == "OK")
  }

  @Test("A private server that requires a password counts as started")
  func password() throws {
    let server = try RedisServer(arguments: ["--requirepass", "secret"])
    let client = RedisClient(server)
    #expect(throws: RedisError.self) { try client("GET", "key") }
    try client("AUTH", "secret")
    #expect(try client("GET", "key") == .null)
  }

  @Test(
    "A killed private server keeps its address and its folder for a restart",
    arguments: [true, false])
  func killAndRestart(overTCP: Bool) throws {
    let server = try RedisServer(
      arguments: ["--appendonly", "yes", "--appendfsync", "always"],
      listen: overTCP ? .tcp : .unixSocket)
    let (url, directory, firstID) = (server.url, server.directory, server.processID)
    let client = RedisClient(server)
    try client("SET", "key", "value")

    server.kill()
    #expect(throws: RedisError.self) { try client("PING") }
    #expect(server.processID == nil)
    #expect(FileManager.default.fileExists(atPath: directory))

    try server.restart(adding: ["--maxclients", "17"])
    #expect(server.url == url)
    #expect(server.directory == directory)
    #expect(server.processID != firstID)
    #expect(try client("GET", "key").string == "value")
    #expect(try client("CONFIG", "GET", "maxclients").array?.last?.string == "17")
  }

  @Test("A paused private server answers only when it is resumed")
  func pause() async throws {
    let server = try RedisServer()
    let client = RedisClient(server)
    server.pause()
    server.pause()
    async let answer = Task.detached { try (client("PING"), ContinuousClock.now) }.value
    try await Task.sleep(for: .milliseconds(50))
    let resumed = ContinuousClock.now
    server.resume()
    #expect(try await answer.1 > resumed)
  }

  @Test("A private server is not disturbed by others")
  func several() throws {
    let servers = try (0..<6).map { try RedisServer(listen: $0 < 3 ? .unixSocket : .tcp) }
    #expect(Set(servers.map(\.url)).count == servers.count)
    #expect(Set(servers.map(\.directory)).count == servers.count)
    for (number, server) in servers.enumerated() {
      try RedisClient(server)("SET", "number", "\(number)")
    }
    servers[1].kill()
    for (number, server) in servers.enumerated() where number != 1 {
      #expect(try RedisClient(server)("GET", "number").string == "\(number)")
    }
  }

  @Test("A private server leaves nothing behind", arguments: [true, false])
  func leavesNothing(paused: Bool) throws {
    var server: RedisServer? = try RedisServer()
    let directory = try #require(server?.directory)
    let id = try #require(server?.processID)
    if paused { server?.pause() }
    server = nil
    #expect(!FileManager.default.fileExists(atPath: directory))
    #expect(kill(id, 0) != 0)
  }

  @Test("A private server that cannot start gives the reason, and leaves nothing behind")
  func failure() throws {
    let error = try #require(throws: RedisError.self) {
      try RedisServer(arguments: ["--no-such-option", "1"])
    }
    #expect("\(error)".contains("no-such-option"))
  }

  @Test("A private server ends with its parent process, even if that is killed")
  func ownerKilled() async throws {
    let result = await #expect(
      processExitsWith: .signal(SIGKILL), observing: [\.standardOutputContent]
    ) {
      let servers = try (0..<3).map { _ in try RedisServer(listen: .tcp) }
      for server in servers {
        print("server", try #require(server.port), server.directory)
      }
      fflush(nil)
      servers[1].pause()
      servers[2].kill()
      kill(getpid(), SIGKILL)
    }
    let output = String(decoding: try #require(result).standardOutputContent, as: UTF8.self)
    let lines = output.split(separator: "\n").filter { $0.hasPrefix("server ") }
    #expect(lines.count == 3)
    for line in lines {
      let words = line.split(separator: " ", maxSplits: 2)
      let port = try #require(UInt16(words[1]))
      // Not checked by the process's number, which stays until the dead process is reaped.
      await eventually("the server dies") {
        (try? Socket(connectingTo: .tcp(port: port), timeout: 1)) == nil
      }
      await eventually("the folder vanishes") {
        !FileManager.default.fileExists(atPath: String(words[2]))
      }
    }
  }

  private func setAndGet(on server: RedisServer) throws {
    let client = RedisClient(server)
    let value = uniqueKey()
    try client("SET", "key", value)
    #expect(try RedisClient(server)("GET", "key").string == value)
  }
}

@Suite("The trait redisServer", .timeLimit(.minutes(2)), .redisServer())
struct RedisServerTraitTests {
  /// The server of every test, to check whether it is always the same.
  private static let seen = Locked<Set<String>>([])

  @Test("The trait redisServer starts one server for all tests of a suite", arguments: 1...3)
  func shared(_ number: Int) throws {
    try check()
  }

  @Suite("The trait redisServer in inner suites", .timeLimit(.minutes(2)))
  struct Inner {
    @Test("The trait redisServer gives inner suites the same server")
    func shared() throws {
      try RedisServerTraitTests().check()
    }
  }

  @Test(
    "The trait redisServer gives a test a server of its own",
    .redisServer("--maxclients", "17", listen: .tcp))
  func own() throws {
    #expect(RedisServer.current.port != nil)
    let client = RedisClient(.current)
    #expect(try client("CONFIG", "GET", "maxclients").array?.last?.string == "17")
  }

  @Test("The trait redisServer comes with keys that no other test uses")
  func keys() {
    #expect(uniqueKey().hasPrefix("keys-"))
    #expect(uniqueKey() != uniqueKey())
  }

  private func check() throws {
    let server = RedisServer.current
    #expect(try RedisClient(server)("PING").string == "PONG")
    let count = Self.seen.withLock { seen in
      seen.insert(server.directory)
      return seen.count
    }
    #expect(count == 1)
  }
}
