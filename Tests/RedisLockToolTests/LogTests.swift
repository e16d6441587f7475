#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  @testable import RedisLockTool

  @Suite("Messages of redis-lock to a log", .timeLimit(.minutes(2)))
  struct LogTests {
    private func objects(_ lines: String) throws -> [[String: Any]] {
      try lines.split(separator: "\n").map { line in
        try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      }
    }

    @Test("A lock that is not acquired is told with its key, its holder, the wait and the status")
    func conflict() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let holder = try await ToolProcess.hold("held", on: server)
      for options in [["-n"], ["-w", "500ms"]] {
        let run = try await ToolProcess.run(
          ["run", "--json-log"] + options + ["free", "held", "--", "true"], on: server)
        let line = try #require(try objects(run.errors).last)
        #expect(run.status == 75 && line["exitStatus"] as? Int == 75, "\(run)")
        #expect((line["holder"] as? String)?.hasPrefix("nightly on ") == true, "\(run)")
        #expect((line["key"] as? String)?.contains("held") == true, "\(run)")
        #expect((line["waited"] as? Double ?? -1) >= (options[0] == "-w" ? 0.4 : 0), "\(run)")
      }
      withExtendedLifetime(holder) {}
    }

    @Test("A lock that is acquired is told with the time of the wait")
    func acquired() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let run = try await ToolProcess.run(
        ["run", "-v", "--json-log", "key", "--", "true"], on: server)
      let lines = try objects(run.errors)
      #expect(lines.contains { $0["waited"] is Double && ($0["fence"] as? Int ?? 0) > 0 }, "\(run)")
    }

    @Test("Whatever keeps a command from running is told with the exit status")
    func failures() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      for words in [["--nonsense", "key", "--", "true"], ["key"], ["--", "true"]] {
        let run = try await ToolProcess.run(["run", "--json-log"] + words, on: server)
        #expect(try objects(run.errors).map { $0["exitStatus"] as? Int } == [64], "\(run)")
      }
      let few = try ToolProcess(
        ["run", "--json-log", "key", "--", "true"], on: server,
        through: ["/bin/sh", "-c", "ulimit -c 0; ulimit -n 20; exec \"$0\" \"$@\""])
      let outcome = await few.outcome()
      #expect(try objects(outcome.errors).map { $0["exitStatus"] as? Int } == [71], "\(outcome)")
      let missing = try await ToolProcess.run(
        ["run", "--json-log", "key", "--", "/no/such/command"], on: server)
      #expect(try objects(missing.errors).last?["exitStatus"] as? Int == 127, "\(missing)")
    }

    @Test("Warnings about the server are told with the key that the run is about")
    func warnings() async throws {
      let lone = try ToolProcess(
        ["run", "--json-log", "-w", "60s", "key", "--", "true"], url: "unix:///no/such/socket")
      await until("it waits") { lone.errors.hasSuffix("\n") }
      lone.signal(SIGTERM)
      let lines = try objects(await lone.outcome().errors)
      #expect(lines.count == 2 && lines.allSatisfy { $0["key"] as? String == "key" }, "\(lines)")
      #expect(lines.last?["exitStatus"] as? Int == Int(128 + SIGTERM), "\(lines)")

      let server = try RedisServer(
        arguments: ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"])
      defer { server.stop() }
      // The library inspects the server with the first extension.
      let tool = try ToolProcess(
        ["run", "--json-log", "--extend", "100ms", "key", "--", "sleep", "100"], on: server)
      await until("it is said") {
        tool.errors.contains("noeviction") && tool.errors.hasSuffix("\n")
      }
      let warning = try #require(
        try objects(tool.errors).first { "\($0["message"] ?? "")".contains("noeviction") })
      #expect(warning["key"] as? String == "key" && warning["server"] is String, "\(tool.errors)")
      tool.signal(SIGTERM)
      #expect(await tool.outcome().status == 128 + SIGTERM)
    }

    @Test("A run that waits reports that after ten seconds, then rarely, and at last every hour")
    func pauses() {
      var (time, times) = (Duration.zero, [Duration]())
      for line in 0..<6 {
        time += WaitReporter.pause(after: line)
        times.append(time)
      }
      #expect(
        times == [10, 60, 600, 4200, 7800, 11_400].map { Duration.seconds($0) })
    }
  }
#endif
