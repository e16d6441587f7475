import AsyncRedisLock
import Foundation
import PrivateRedis
import Testing

@Suite("A network", .timeLimit(.minutes(2)))
struct NetworkFaultTests {
  // MARK: Connecting

  @Test(
    "A network that swallows every packet makes connecting fail in time",
    .enabled("On other systems, a full listener refuses.") { FullListener.isSilent })
  func swallowsConnections() async throws {
    // A full listener does not answer the next client.
    let full = try FullListener()
    let attempt = await Attempt {
      try await Locker(url: full.url) { $0.connectTimeout = .milliseconds(300) }
    }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.isRetryable == true)
    #expect(attempt.error?.message.contains("refused") == false, "the test must fill it")
    #expect(attempt.duration > .milliseconds(250) && attempt.duration < .inTime)
  }

  @Test(
    "If a name has several addresses, the one that answers is used",
    .asRoot, .redisServer(listen: .tcp))
  func severalAddresses() async throws {
    let port = try #require(RedisServer.current.port)
    let process = try LockTakerProcess(
      ["redis://several.test:\(port)?connect_timeout=2s", "connect", "-", "0", "0"],
      through: hiding(
        "/etc/hosts", behind: "127.0.0.9 several.test", "::1 several.test", "127.0.0.1 several.test"
      ))
    await eventually { process.hasSaid(" ms") }
    #expect(process.hasSaid("connected after"), "\(process.saying)")
  }

  @Test(
    "A name is looked up for each connection, so a changed address counts for the next", .asRoot)
  func changedAddress() async throws {
    // One server at two addresses, which tells by which of them each client has come.
    let server = try RedisServer(arguments: ["--bind", "127.0.0.1", "127.0.0.2"], listen: .tcp)
    defer { server.stop() }
    let (port, client) = (try #require(server.port), RedisClient(server))
    let hosts = server.directory + "/hosts"
    // The file is mounted, so it has to stay the same one.
    func lead(to address: String) throws {
      try "\(address) moving.test\n".write(toFile: hosts, atomically: false, encoding: .utf8)
    }
    func hasClient(at address: String) throws -> Bool {
      let lines = try client("CLIENT", "LIST").string?.split(separator: "\n") ?? []
      return lines.contains {
        $0.contains(" laddr=\(address):\(port) ") && $0.contains(" name=async-redis-lock ")
      }
    }
    try lead(to: "127.0.0.1")
    let key = uniqueKey()
    let process = try LockTakerProcess(
      ["redis://moving.test:\(port)?connect_timeout=10s", "hold", key, "30000", "100"],
      through: [
        "/usr/bin/env", "unshare", "--mount", "sh", "-c",
        #"mount --bind "$0" /etc/hosts && exec "$@""#, hosts,
      ])
    await eventually { process.hasSaid("held ") }
    #expect(try hasClient(at: "127.0.0.1"))
    try lead(to: "127.0.0.2")
    try client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await eventually("it comes by the other address") { try hasClient(at: "127.0.0.2") }
    #expect(try server.hasKey(key))
    #expect(try !hasClient(at: "127.0.0.1"))
  }

  @Test("If no name server answers, connecting fails in time", .asRoot)
  func silentNameServer() async throws {
    let nameServer = try SilentNameServer()
    let process = try LockTakerProcess(
      ["redis://slow.test:6379?connect_timeout=500ms", "connect", "-", "0", "0"],
      through: hiding("/etc/resolv.conf", behind: "nameserver 127.0.0.1"))
    defer { withExtendedLifetime(nameServer) {} }
    await eventually { process.hasSaid(" ms") }
    #expect(process.hasSaid("unreachable (connect)"), "\(process.saying)")
    #expect(!process.hasSaid("in name resolution"), "the name server must be silent")
    let words = process.saying.split(whereSeparator: \.isWhitespace)
    let milliseconds = try #require(words.dropLast().last.flatMap { Double($0) })
    #expect(milliseconds > 450 && milliseconds < 3000)
  }

  /// A command that runs another one with a system file replaced for that command alone.
  private func hiding(_ path: String, behind lines: String...) -> [String] {
    let script = """
      shown=$(mktemp) && printf '%s\\n' "$LINES_TO_SHOW" >"$shown" && mount --bind "$shown" \(path)
      rm -f "$shown"
      exec "$@"
      """.replacing("$LINES_TO_SHOW", with: lines.joined(separator: "\n"))
    return ["/usr/bin/env", "unshare", "--mount", "sh", "-c", script, "sh"]
  }

  // MARK: Sending

  @Test(
    "If the network takes only a part of a command, the call fails in time and nothing is left",
    .redisServer())
  func partialWrite() async throws {
    let server = RedisServer.current
    let locker = try await Locker(on: server) { $0.operationTimeout = .milliseconds(300) }
    // More than the sockets on both sides can buffer.
    let key = uniqueKey() + String(repeating: "k", count: 500 << 10)
    server.pause()
    let attempt = await Attempt {
      try await locker.acquire(
        key, options: LockOptions(timeout: .seconds(1), ttl: .seconds(60)))
    }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.duration < .inTime)
    server.resume()
    try await locker.acquire(uniqueKey()).release()
    let client = RedisClient(server)
    await eventually("nothing of it has arrived") {
      try client("KEYS", "*").array?.allSatisfy { $0.string == "redis-lock:fence" } == true
    }
  }

  // MARK: TLS

  @Test("A port for TLS makes connecting fail in time, with a typed error")
  func tlsPort() async throws {
    let certificates = try Certificates()
    let server = try TLSServer(certificates.authority, authority: certificates.authority)
    let attempt = await Attempt {
      try await Locker(url: "redis://127.0.0.1:\(server.port)") {
        $0.connectTimeout = .milliseconds(500)
      }
    }
    #expect(attempt.error?.code == .unreachable)
    #expect(attempt.error?.message.contains("is this a TLS port") == true, "\(attempt.result)")
    #expect(attempt.duration < .inTime)
  }
}

extension Trait where Self == ConditionTrait {
  /// Marks a test that changes system resources for itself alone: skipped by default.
  static var asRoot: Self {
    .enabled("Needs root on Linux, and REDIS_TEST_AS_ROOT=1.") {
      ProcessInfo.processInfo.environment["REDIS_TEST_AS_ROOT"] == "1"
    }
  }
}
