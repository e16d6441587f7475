#if CommandLineTool
  import FaultProxy
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("Messages of redis-lock about a server that refuses", .timeLimit(.minutes(3)))
  struct RefusalTests {
    /// Starts a server that sends a text on every connection, and hangs up.
    private func curt(_ text: String) throws -> FakeListener {
      try FakeListener(.tcp) { wire in
        // The server does not read, so that the client gets a reset.
        _ = wire.write(Array((text + "\r\n").utf8))
      }
    }

    @Test("The last words of a server that hangs up are shown, and the run does not retry")
    func denied() async throws {
      let text = "-DENIED Redis is running in protected mode because no password is set"
      let listener = try curt(text)
      defer { listener.stop() }
      for url in [listener.address.url, listener.address.url.replacing("://", with: "://:secret@")]
      {
        let outcome = try await ToolProcess.run(
          ["run", "-w", "30s", "key", "--", "true"], url: url)
        #expect(outcome.status == 77, "\(outcome.errors)")
        #expect(outcome.errors.contains("DENIED Redis is running in protected mode"))
        #expect(outcome.duration < .seconds(20))
      }
    }

    @Test("A run waits for a server that has too many clients or is loading, but not with -n")
    func busy() async throws {
      let server = try RedisServer(arguments: ["--maxclients", "10"], listen: .tcp)
      defer { server.stop() }
      let clients = try (0..<10).map { _ in
        try FakeWire(connectingTo: .tcp(port: UInt16(server.port ?? 0)))
      }
      let now = try await ToolProcess.run(["run", "-n", "key", "--", "true"], on: server)
      #expect(now.status == 69 && now.errors.contains("max number of clients"), "\(now.errors)")
      #expect(now.duration < .seconds(10))
      let waiter = try ToolProcess(["run", "-w", "30s", "key", "--", "echo", "ran"], on: server)
      await until("it says so") { waiter.errors.contains("waiting for the server") }
      for client in clients { client.hangUp() }
      let outcome = await waiter.outcome()
      #expect(outcome.status == 0 && outcome.output == "ran\n", "\(outcome.errors)")
    }

    @Test("A hundred runs all get their turn on a server with room for sixty clients")
    func crowd() async throws {
      let server = try RedisServer(arguments: ["--maxclients", "60"], listen: .tcp)
      defer { server.stop() }
      let tools = try (0..<100).map { _ in
        try ToolProcess(["run", "-w", "60s", "-q", "key", "--", "echo", "ran"], on: server)
      }
      for tool in tools {
        let outcome = await tool.outcome()
        #expect(outcome.status == 0 && outcome.output == "ran\n", "\(outcome.errors)")
      }
    }

    @Test("Missing, wrong and needless passwords are distinguished, and none is ever shown")
    func passwords() async throws {
      let open = try RedisServer()
      let closed = try RedisServer(arguments: ["--requirepass", "hush-hush"])
      defer { for server in [open, closed] { server.stop() } }
      func status(_ server: RedisServer, _ login: String) async throws -> ToolProcess.Outcome {
        let url = "unix://\(login)\(server.socketPath ?? "")"
        return try await ToolProcess.run(["status", "key"], url: url)
      }
      let needless = try await status(open, ":hush-hush@")
      #expect(
        needless.status == 77
          && needless.errors.contains("the server has no password, but one was given"))
      let missing = try await status(closed, "")
      #expect(
        missing.status == 77
          && missing.errors.contains("the server has a password, but none was given"))
      let wrong = try await status(closed, ":hush-wrong@")
      #expect(wrong.status == 77 && wrong.errors.contains("WRONGPASS"))
      for outcome in [needless, missing, wrong] { #expect(!outcome.errors.contains("hush")) }
    }

    @Test("If a run loses its lock because the password was changed, it says so")
    func rotation() async throws {
      let server = try RedisServer(arguments: ["--requirepass", "old"])
      defer { server.stop() }
      let path = server.socketPath ?? ""
      let tool = try ToolProcess(
        ["run", "key", "--ttl", "2s", "-c", "echo ready; sleep 100"], url: "unix://:old@\(path)")
      await tool.waitUntilSaid("ready")
      let client = RedisClient(server)
      _ = try client("AUTH", "old")
      _ = try client("CONFIG", "SET", "requirepass", "new")
      _ = try client("CLIENT", "KILL", "TYPE", "normal")
      let outcome = await tool.outcome()
      #expect(outcome.status == 76)
      let last = outcome.errors.split(separator: "\n").last ?? ""
      #expect(last.contains("the lock was lost") && last.contains("WRONGPASS"), "\(outcome.errors)")
    }

    @Test(
      "A disabled command is reported before the job starts, and no key stays",
      arguments: ["EVAL", "EVALSHA", "PEXPIRE", "DEL", "INCR", "GETRANGE"])
    func disabled(command: String) async throws {
      let server = try RedisServer(arguments: ["--rename-command", command, ""])
      defer { server.stop() }
      let run = try await ToolProcess.run(["run", "key", "--", "echo", "ran"], on: server)
      #expect(run.status == 77 && run.output.isEmpty, "\(run.errors)")
      #expect(
        run.errors.contains(command) && run.errors.contains("redis-lock doctor"), "\(run.errors)")
      let doctor = try await ToolProcess.run(["doctor"], on: server)
      #expect(doctor.status == 1)
      #expect(
        doctor.output.contains("does not know \(command), renamed or disabled"), "\(doctor.output)")
      await until("nothing stays") { try server.keys().isEmpty }
    }

    @Test(
      "A command that the user may not use is reported before the job starts, and no key stays",
      arguments: [
        ("EVAL", "no lock can be taken"), ("EVALSHA", "none can be extended"),
        ("PEXPIRE", "none can be extended"), ("DEL", "none can be released before its ttl"),
      ])
    func forbidden(command: String, loss: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      _ = try RedisClient(server)(
        "ACL", "SETUSER", "worker", "on", ">hush-hush", "~*", "&*", "+@all", "-" + command)
      // Patient, since a second may not suffice on a busy machine.
      let url =
        "unix://worker:hush-hush@\(try #require(server.socketPath))?connect_timeout=20s&operation_timeout=20s"
      let run = try await ToolProcess.run(["run", "key", "--", "echo", "ran"], url: url)
      #expect(run.status == 77 && run.output.isEmpty, "\(run.errors)")
      let isNamed = run.errors.lowercased().contains(command.lowercased())
      #expect(isNamed && run.errors.contains("redis-lock doctor"), "\(run.errors)")
      #expect(try server.keys().isEmpty)
      let doctor = try await ToolProcess.run(["doctor"], url: url)
      #expect(doctor.status == 1)
      let problems = doctor.output.split(separator: "\n").filter { $0.hasPrefix("PROBLEM") }
      #expect(problems.count == 1, "\(doctor.output)")
      #expect(problems.first?.contains("may not use \(command) on ") == true)
      #expect(problems.first?.contains(loss) == true, "\(problems)")
      await until("nothing stays", within: .seconds(5)) { try server.keys().isEmpty }
    }

    @Test("A user with permissions for some keys, and for none of the library's own, can lock them")
    func leastPrivilege() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      _ = try RedisClient(server)(
        "ACL", "SETUSER", "worker", "on", ">hush-hush", "~jobs:*", "resetchannels", "+@all")
      let url = "unix://worker:hush-hush@\(try #require(server.socketPath))?fencing=false"
      let run = try await ToolProcess.run(
        ["run", "--record-for", "0", "jobs:a", "--", "echo", "ran"], url: url)
      #expect(run.status == 0 && run.output == "ran\n", "\(run.errors)")
      #expect(try server.keys().isEmpty)
    }

    @Test("A value that is not UTF-8 is escaped, also in JSON")
    func binaryValues() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let script = #"""
        redis.call('SET', 'a', 'caf\233\27', 'PX', 100000)
        redis.call('SET', 'b', '\255\254\195\169', 'PX', 100000)
        """#
      _ = try RedisClient(server)("EVAL", script, "0")
      let list = try await ToolProcess.run(["list", "--foreign"], on: server)
      #expect(list.output.contains(#"a: held by "caf\\xe9\u{1B}""#), "\(list.output)")
      #expect(list.output.contains(#"b: held by "\\xff\\xfeé""#), "\(list.output)")
      #expect(!list.output.unicodeScalars.contains("\u{FFFD}"))
      let status = try await ToolProcess.run(["status", "--json", "a"], on: server)
      let object = try JSONSerialization.jsonObject(with: Data(status.output.utf8))
      let holder = (object as? [String: Any])?["holder"] as? [String: Any]
      #expect(holder?["value"] as? String == "caf\\xe9\u{1B}", "\(status.output)")
    }

    @Test("A URL part that only other libraries support is refused with the reason")
    func partsOfURLs() async throws {
      for (url, reason) in [
        ("redis://:@localhost", "password must not be empty; leave it out"),
        ("redis://@localhost", "user must not be empty; leave it out"),
        ("redis://localhost?family=6", "all addresses of a host are tried, IPv4 and IPv6"),
      ] {
        let outcome = try await ToolProcess.run(["status", "key"], url: url)
        #expect(outcome.status == 64 && outcome.errors.contains(reason), "\(outcome.errors)")
      }
    }

    @Test("An empty URL, or one with a line end, is named in the message")
    func urls() async throws {
      let empty = try await ToolProcess.run(["status", "key"], url: "")
      #expect(empty.status == 64 && empty.errors.contains("REDIS_LOCK_URL is empty"))
      let ended = try await ToolProcess.run(["status", "key"], url: "redis://localhost\n")
      #expect(ended.status == 64 && ended.errors.contains("such as a line end"))
    }

    @Test("Keys that are not UTF-8 are listed escaped, and JSON stays valid")
    func binaryKeys() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let token = "rl1n:host:1:job:0123456789abcdef:1:0123456789abcdef"
      let script = #"""
        redis.call('SET', 'f\233\27[2J', ARGV[1], 'PX', 100000)
        redis.call('SET', 'f\234', ARGV[1], 'PX', 100000)
        """#
      _ = try RedisClient(server)("EVAL", script, "0", token)
      let list = try await ToolProcess.run(["list"], on: server)
      let names = list.output.split(separator: "\n").map { $0.prefix { $0 != ":" } }.sorted()
      #expect(names == ["f\\xe9\\u{1B}[2J", "f\\xea"], "\(list.output)")
      let json = try await ToolProcess.run(["list", "--json"], on: server)
      #expect(
        json.output.split(separator: "\n").allSatisfy {
          (try? JSONSerialization.jsonObject(with: Data($0.utf8))) != nil
        })
    }

    @Test("A watched status ends when its reader is gone")
    func watchedByHead() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        [], on: server,
        through: [
          "/bin/bash", "-c", "\"$0\" status --watch key | head -n 1; echo ${PIPESTATUS[0]}",
        ])
      let outcome = await tool.outcome()
      // As for any program: by SIGPIPE, or with an error if SIGPIPE is ignored.
      let status = outcome.output.split(separator: "\n").last ?? ""
      #expect(["74", "141"].contains(status), "\(outcome.output)")
    }
  }
#endif
