#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  @testable import RedisLockTool

  @Suite("redis-lock doctor", .timeLimit(.minutes(2)))
  struct DoctorTests {
    /// Lines of `INFO`.
    private func findings(_ lines: String..., saves: Bool? = nil) -> [Finding] {
      ServerInformation("# Server\r\n" + lines.joined(separator: "\r\n")).findings(saves: saves)
    }

    // MARK: Judged by the server's answers

    @Test(
      "The doctor of redis-lock knows versions",
      arguments: [
        ("redis_version:6.2.14", Finding.Level.fine), ("redis_version:8.0.2", .fine),
        ("redis_version:6.0.16", .warning), ("redis_version:5.0.3", .warning),
        ("valkey_version:7.2.11", .fine), ("valkey_version:9.0.0", .fine),
        ("valkey_version:7.1.0", .warning), ("redis_version:7.2.4\r\nvalkey_version:8.0.1", .fine),
      ])
    func versions(lines: String, level: Finding.Level) {
      let findings = findings(lines)
      #expect(findings.map(\.subject) == ["version"])
      #expect(findings.first?.level == level)
    }

    @Test(
      "The doctor knows the eviction policies",
      arguments: [
        ("0", "allkeys-lru", Finding.Level.fine), ("1000", "noeviction", .fine),
        ("1000", "volatile-lru", .warning), ("1000", "allkeys-random", .warning),
        ("1000", "volatile-ttl", .warning),
      ])
    func eviction(limit: String, policy: String, level: Finding.Level) {
      let findings = findings("maxmemory:\(limit)", "maxmemory_policy:\(policy)")
      #expect(findings.map(\.subject) == ["eviction"])
      #expect(findings.first?.level == level)
      if level == .warning { #expect(findings.first?.text.contains(policy) == true) }
    }

    @Test("The doctor knows which data outlives a restart")
    func persistence() {
      #expect(findings("aof_enabled:1", saves: false).map(\.level) == [.fine])
      #expect(findings("aof_enabled:0", saves: false).first?.text.hasPrefix("none") == true)
      #expect(findings("aof_enabled:0", saves: true).first?.text.hasPrefix("snapshots") == true)
      #expect(findings("aof_enabled:0", saves: nil).map(\.level) == [.warning])
    }

    @Test("The doctor knows the roles of servers")
    func roles() {
      #expect(findings("role:master", "connected_slaves:0").map(\.level) == [.fine])
      #expect(
        findings("role:master", "connected_slaves:1").first?.text.contains("1 replica:") == true)
      #expect(findings("role:master", "connected_slaves:2").map(\.level) == [.warning])
      #expect(findings("role:slave").map(\.level) == [.problem])
      let writable = findings("role:slave", "slave_read_only:0").first
      #expect(writable?.level == .problem && writable?.text.contains("takes writes") == true)
    }

    @Test("The doctor knows servers that are far away")
    func roundTrips() {
      let near = DoctorCommand.finding(on: [
        .milliseconds(200), .milliseconds(2), .microseconds(500),
      ])
      #expect(near == Finding(.fine, "round trip", "2.0 ms, the longest of 3 200.0 ms"))
      let far = DoctorCommand.finding(on: [.milliseconds(60), .milliseconds(60)])
      #expect(far.level == .warning)
      #expect(far.text.hasPrefix("60.0 ms, the longest of 2 60.0 ms: "))
    }

    // MARK: With real servers

    private func diagnose(
      _ server: RedisServer, _ arguments: String..., url: String? = nil
    ) async throws -> (status: Int32, findings: [String: (level: String, text: String)]) {
      let outcome = try await ToolProcess.run(
        ["doctor", "--json"] + arguments, on: server, url: url)
      var findings: [String: (level: String, text: String)] = [:]
      for line in outcome.output.split(separator: "\n") {
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String]
        findings[object?["subject"] ?? ""] = (object?["level"] ?? "", object?["text"] ?? "")
      }
      return (outcome.status, findings)
    }

    @Test("The doctor finds nothing wrong with a good server, and leaves nothing behind")
    func fine() async throws {
      let server = try RedisServer(arguments: ["--appendonly", "yes"])
      defer { server.stop() }
      let (status, findings) = try await diagnose(server)
      #expect(status == 0)
      #expect(findings.values.allSatisfy { $0.level == "fine" }, "\(findings)")
      #expect(
        findings.keys.sorted() == [
          "clock", "eviction", "permissions", "persistence", "role", "round trip", "trial",
          "version",
        ])
      #expect(try server.keys().isEmpty)
      let text = try await ToolProcess.run(["doctor"], on: server)
      #expect(text.output.contains("ok      trial: "))
    }

    @Test("The doctor warns of eviction and of a server that forgets")
    func forgetful() async throws {
      let server = try RedisServer(
        arguments: ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"])
      defer { server.stop() }
      let (status, findings) = try await diagnose(server)
      #expect(status == 0)
      #expect(findings["eviction"]?.level == "warning")
      #expect(findings["persistence"]?.level == "warning")
    }

    @Test("The doctor notices that a server is a replica, on which no key can be locked")
    func replica() async throws {
      let (primary, replica) = (try RedisServer(listen: .tcp), try RedisServer())
      defer {
        primary.stop()
        replica.stop()
      }
      let port = try #require(primary.port)
      _ = try RedisClient(replica)("REPLICAOF", "127.0.0.1", "\(port)")
      let client = RedisClient(primary)
      await until("the replica is there") {
        try client("INFO", "replication").string?.contains("connected_slaves:1") == true
      }
      let (status, findings) = try await diagnose(replica)
      #expect(status == 1)
      #expect(findings["role"]?.level == "problem")
      #expect(findings["trial"]?.level == "problem")
      #expect(try await diagnose(primary).findings["role"]?.level == "warning")
    }

    @Test("If the fence counter cannot issue a token, the doctor says so and names the remedy")
    func fenceCounter() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      _ = try RedisClient(server)("SET", "redis-lock:fence", "9223372036854775807")
      let (status, findings) = try await diagnose(server)
      #expect(status == 1)
      #expect(findings["fencing"]?.level == "problem")
      #expect(findings["fencing"]?.text.contains("delete it") == true)
      #expect(findings["trial"]?.text.contains("2^53 - 1") == true)
    }

    @Test("The doctor notices that a node of a cluster serves no slots")
    func cluster() async throws {
      let server = try RedisServer(arguments: ["--cluster-enabled", "yes"])
      defer { server.stop() }
      let (status, findings) = try await diagnose(server)
      #expect(status == 1)
      #expect(findings["slots"]?.level == "problem")
    }

    @Test("The doctor notices that a server is full")
    func full() async throws {
      let server = try RedisServer(arguments: ["--maxmemory", "1"])
      defer { server.stop() }
      let (status, findings) = try await diagnose(server)
      #expect(status == 1)
      #expect(findings["commands"]?.text.hasPrefix("OOM") == true)
      #expect(findings["trial"]?.level == "problem")
    }

    @Test("The doctor names the missing permissions, and rules that would suffice")
    func permissions() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let client = RedisClient(server)
      let user = [
        "ACL", "SETUSER", "billing", "on", ">secret", "resetkeys", "~invoices:*", "~redis-lock:*",
      ]
      let nothing = ["resetchannels", "nocommands"]
      func words(_ rules: String) -> [String] { rules.split(separator: " ").map(String.init) }
      let url = "unix://billing:secret@" + (try #require(server.socketPath))

      _ = try client(words: user + nothing + words(Permissions.basic))
      let basic = try await diagnose(server, "invoices:", url: url)
      #expect(basic.status == 0)
      #expect(basic.findings["server"]?.text.contains("INFO") == true)
      #expect(basic.findings["queue"]?.level == "warning")
      #expect(basic.findings["queue"]?.text.contains("ZADD, ") == true)
      #expect(basic.findings["queue"]?.text.contains("~invoices:* ~redis-lock:* +set") == true)

      // The user may not use the channel.
      _ = try client(words: user + words(Permissions.basic) + words(Permissions.queueing))
      let channel = try await diagnose(server, "invoices:", url: url)
      #expect(channel.findings["queue"]?.text.contains("PUBLISH") == true)

      _ = try client(words: user + ["&redis-lock:*"])
      let all = try await diagnose(server, "invoices:", url: url)
      #expect(all.findings["permissions"]?.level == "fine", "\(all.findings)")
      #expect(all.findings["queue"] == nil)

      let other = try await diagnose(server, "orders:", url: url)
      #expect(other.status == 1)
      #expect(other.findings["permissions"]?.level == "problem")
      #expect(other.findings["permissions"]?.text.contains("~orders:*") == true)

      _ = try client(words: user + ["-evalsha"])
      let script = try await diagnose(server, "invoices:", url: url)
      #expect(script.findings["permissions"]?.text.contains("may not use EVALSHA on") == true)
    }

    @Test("The doctor recommends the rules of the README")
    func rules() throws {
      let file = URL(filePath: #filePath).appending(path: "../../../README.md").standardized
      let readme = try String(contentsOf: file, encoding: .utf8)
      let words = Set(readme.split(whereSeparator: \.isWhitespace).map(String.init))
      for rule in (Permissions.basic + " " + Permissions.queueing).split(separator: " ") {
        #expect(words.contains(String(rule)), "\(rule)")
      }
    }

    @Test("The doctor ends with 69 without a server, and with 77 if the login is refused")
    func unreachable() async throws {
      let server = try RedisServer(arguments: ["--requirepass", "secret"])
      #expect(try await ToolProcess.run(["doctor"], on: server).status == 77)
      server.stop()
      #expect(try await ToolProcess.run(["doctor"], on: server).status == 69)
    }
  }
#endif
