#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("Messages of redis-lock to an operator", .timeLimit(.minutes(3)))
  struct OperatorTests {
    private func object(_ line: some StringProtocol) throws -> [String: Any] {
      try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    private func objects(_ lines: String) throws -> [[String: Any]] {
      try lines.split(separator: "\n").map { try object($0) }
    }

    /// Starts a run that continues until it is told to end.
    private func run(
      _ keys: [String], _ options: [String] = [], on server: RedisServer
    ) async throws -> ToolProcess {
      let tool = try ToolProcess(
        ["run"] + options + keys + ["-c", "echo ready; sleep 100"], on: server)
      await tool.waitUntilSaid("ready")
      await until("it is recorded") {
        try RedisClient(server)("EXISTS", "redis-lock:record:{\(keys[0])}").integer == 1
      }
      return tool
    }

    // MARK: The last run

    @Test("A run leaves a record of its holder, start, end, outcome and fencing token")
    func record() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let start = Date.now.addingTimeInterval(-2)
      let run = try await ToolProcess.run(
        ["run", "key", "--label", "nightly", "-c", "echo $REDIS_LOCK_FENCE; exit 3"], on: server)
      #expect(run.status == 3)
      let text = try await ToolProcess.run(["status", "key"], on: server)
      #expect(text.status == 1)
      let lines = text.output.split(separator: "\n")
      #expect(lines.first == "key: free")
      #expect(lines.last?.hasPrefix("  last run by nightly on ") == true, "\(text.output)")
      #expect(lines.last?.hasSuffix(", exit status 3") == true, "\(text.output)")
      let json = try await ToolProcess.run(["status", "--json", "key"], on: server)
      let last = try #require(try object(json.output)["lastRun"] as? [String: Any])
      #expect(last["exitStatus"] as? Int == 3 && last["ended"] as? String == "exited")
      let fence = run.output.trimmingCharacters(in: .whitespacesAndNewlines)
      #expect(last["fencingToken"] as? UInt64 == UInt64(fence))
      for name in ["from", "until"] {
        let date = (last[name] as? String).flatMap { try? Date($0, strategy: .iso8601) }
        #expect(try #require(date) > start)
      }
      let ttl = try #require(
        try RedisClient(server)("PTTL", "redis-lock:record:{key}").integer)
      #expect((500_000_000...604_800_000).contains(ttl))
    }

    @Test("A record tells of a lost lock, and of a run whose end was not observed")
    func recordOfTrouble() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let lost = try await run(["lost"], on: server)
      _ = try RedisClient(server)("DEL", "lost")
      #expect(await lost.outcome().status == 76)
      let status = try await ToolProcess.run(["status", "lost"], on: server)
      #expect(status.output.contains(", lost, exit status 76"), "\(status.output)")

      let killed = try await run(["killed"], ["--ttl", "1s"], on: server)
      killed.signal(SIGKILL)
      await until("the lock ends") { try RedisClient(server)("EXISTS", "killed").integer == 0 }
      let after = try await ToolProcess.run(["status", "killed"], on: server)
      #expect(after.output.contains("how it ended is not known"), "\(after.output)")
    }

    @Test("A record is kept for the time given by --record-for, and not at all with 0")
    func recordFor() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let client = RedisClient(server)
      _ = try await ToolProcess.run(["run", "none", "--record-for", "0", "--", "true"], on: server)
      #expect(try client("EXISTS", "redis-lock:record:{none}").integer == 0)
      _ = try await ToolProcess.run(["run", "day", "--record-for", "1d", "--", "true"], on: server)
      let ttl = try #require(try client("PTTL", "redis-lock:record:{day}").integer)
      #expect((80_000_000...86_400_000).contains(ttl))
      let refused = try await ToolProcess.run(
        ["run", "key", "--record-for", "367d", "--", "true"], on: server)
      #expect(refused.status == 64 && refused.errors.contains("--record-for"))
    }

    // MARK: Why a run does not start

    @Test("A run that does not wait names the holder of the lock, and since when it holds it")
    func conflict() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let holder = try await run(["key"], ["--label", "nightly"], on: server)
      let outcome = try await ToolProcess.run(["run", "-n", "key", "--", "true"], on: server)
      #expect(outcome.status == 75)
      #expect(outcome.errors.contains("key: held by nightly on "), "\(outcome.errors)")
      #expect(outcome.errors.contains("process \(holder.processID), since 20"))
    }

    @Test("A waiting run names the holder and its own place in the queue after ten seconds")
    func waiting() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let holder = try await run(["key"], ["--label", "nightly"], on: server)
      let waiter = try ToolProcess(["run", "--json-log", "key", "--", "true"], on: server)
      await until("it reports", within: .seconds(30)) { waiter.errors.contains("\n") }
      let line = try object(waiter.errors.split(separator: "\n")[0])
      #expect((line["message"] as? String)?.contains("place 1 of 1 in the queue") == true)
      #expect((line["holder"] as? String)?.hasPrefix("nightly on ") == true)
      #expect(line["key"] as? String == "key" && line["level"] as? String == "warning")
      #expect((line["waited"] as? Double ?? 0) >= 9)
      holder.signal(SIGTERM)
      #expect(await waiter.outcome().status == 0)
    }

    @Test(
      "A nested run is also refused if the token is as long as can be",
      .enabled(if: SystemTool.runs(["unshare", "--uts", "hostname", "h"])))
    func nestedOnLongHost() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let label = String(repeating: "ü", count: 32)
      let host = String(repeating: "h", count: 63)
      let inner = "'\(ToolProcess.path)' run -w 30s"
      let tool = try ToolProcess(
        ["run", "--label", label, "outer", "-c", "\(inner) middle -- \(inner) outer -- true"],
        on: server,
        through: [
          "/usr/bin/env", "unshare", "--uts", "sh", "-c", "hostname \(host); exec \"$0\" \"$@\"",
        ])
      let outcome = await tool.outcome()
      #expect(outcome.status == 64)
      #expect(outcome.errors.contains("outer is held by an enclosing redis-lock run"))
    }

    @Test("A nested run under the same lock is refused; one under another lock is not")
    func nested() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let inner = "'\(ToolProcess.path)' run -w 30s"
      let outcome = try await ToolProcess.run(
        ["run", "a key", "other", "-c", "\(inner) 'a key' -- true"], on: server)
      #expect(outcome.status == 64)
      #expect(outcome.errors.contains("a key is held by an enclosing redis-lock run"))
      // The longest token, of a run that is not the nearest.
      let label = String(repeating: "l", count: 64)
      let outer = try await ToolProcess.run(
        ["run", "--label", label, "outer", "-c", "\(inner) middle -- \(inner) outer -- true"],
        on: server)
      #expect(outer.status == 64)
      #expect(outer.errors.contains("outer is held by an enclosing redis-lock run"))
      let other = try await ToolProcess.run(
        ["run", "key", "-c", "\(inner) other -- echo ran"], on: server)
      #expect(other.status == 0 && other.output == "ran\n")
      // A process that a run has started, and that has outlived it, is no longer within it.
      let stale = try ToolProcess(
        ["run", "key", "--", "echo", "ran"], on: server,
        through: ["/usr/bin/env", "REDIS_LOCK_KEY=key", "REDIS_LOCK_TOKEN=former"])
      #expect(await stale.outcome().output == "ran\n")
    }

    // MARK: Lock states

    @Test("The status distinguishes locks that are held, kept, reserved and free")
    func states() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      _ = try await ToolProcess.run(["run", "--min-hold", "60s", "kept", "--", "true"], on: server)
      let holder = try await run(["b"], on: server)
      let waiter = try ToolProcess(["run", "a", "b", "--", "true"], on: server)
      await until("the other key is reserved") {
        try RedisClient(server)("EXISTS", "a").integer == 1
      }
      let json = try await ToolProcess.run(
        ["status", "--json", "a", "b", "kept", "free"], on: server)
      let states = try objects(json.output).map { $0["state"] as? String }
      #expect(states == ["reserved", "held", "kept", "free"])
      #expect(json.status == 1)
      let text = try await ToolProcess.run(["status", "a", "b", "kept"], on: server)
      #expect(text.status == 0)
      #expect(
        text.output.contains("a: reserved for sh on ")
          || text.output.contains("a: reserved for true on "))
      #expect(text.output.contains("kept: kept by --min-hold after its release by true on "))
      holder.signal(SIGTERM)
      #expect(await waiter.outcome().status == 0)
    }

    @Test("With --watch, the status continues through a restart of the server")
    func watchedRestart() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(["status", "--watch", "key"], on: server)
      await tool.waitUntilSaid("key: free\n")
      server.kill()
      await tool.waitUntilSaid("unreachable since 20")
      try server.restart()
      _ = try RedisClient(server)("SET", "key", "theirs")
      await tool.waitUntilSaid("key: held by \"theirs\"")
      #expect(tool.output.components(separatedBy: "unreachable").count == 2)
    }

    @Test(
      "With --watch, the list is a table of 80 columns with holders, waiters and durations")
    func board() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let long = "a-key-with-a-name-that-is-longer-than-its-column"
      let holders = try await [run([long], on: server), run(["key"], on: server)]
      let waiter = try ToolProcess(["run", "key", "--", "true"], on: server)
      let tool = try ToolProcess(["list", "--watch"], on: server)
      await until("a waiter is shown") {
        tool.output.split(separator: "\n").contains {
          $0.hasPrefix("key ") && $0.firstMatch(of: /left|s +1 +[0-9]+s$/) != nil
        }
      }
      let lines = tool.output.split(separator: "\n")
      #expect(lines.allSatisfy { $0.count <= 80 }, "\(tool.output)")
      #expect(
        lines.first?.split(separator: " ") == ["KEY", "HOLDER", "HELD", "LEFT", "#", "WAITING"])
      #expect(tool.output.contains("a-key-with-a-name-that-…"))
      withExtendedLifetime((holders, waiter)) {}
    }

    // MARK: Secrets

    @Test("The URL can be in a file, even if an editor has added a line end")
    func urlFile() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      _ = try folder.makeFile("url", server.url + "\n")
      _ = try folder.makeFile("empty", "\n")
      func status(_ options: [String], _ variables: [String] = []) async throws
        -> ToolProcess.Outcome
      {
        try await ToolProcess(
          ["status", "key"] + options,
          through: ["/usr/bin/env", "-u", "REDIS_LOCK_URL"] + variables
        ).outcome()
      }
      let given = try await status(["--url-file", folder.path("url")])
      #expect(given.output == "key: free\n", "\(given.errors)")
      let inherited = try await status([], ["REDIS_LOCK_URL_FILE=" + folder.path("url")])
      #expect(inherited.output == "key: free\n", "\(inherited.errors)")
      let piped = try ToolProcess(
        ["status", "key", "--url-file", "/dev/stdin"],
        through: ["/usr/bin/env", "-u", "REDIS_LOCK_URL"], input: server.url + "\n")
      #expect(await piped.outcome().status == given.status)
      let both = try await status(["--url-file", folder.path("url"), "--url", server.url])
      #expect(both.status == 64 && both.errors.contains("cannot both be given"))
      let none = try await status(["--url-file", folder.path("none")])
      #expect(none.status == 64 && none.errors.contains("No such file or directory"))
      let empty = try await status(["--url-file", folder.path("empty")])
      #expect(empty.status == 64 && empty.errors.contains("contains no URL"))
    }

    // MARK: Messages

    @Test("Messages in JSON have a time with its zone, and fields for their subject")
    func jsonLog() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let run = try await ToolProcess.run(
        ["run", "-v", "--json-log", "key", "-c", "exit 3"], on: server)
      let lines = try objects(run.errors)
      for line in lines {
        let time = try #require(line["time"] as? String)
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        #expect(time.hasSuffix("Z") && (try? Date(time, strategy: style)) != nil)
        #expect(line["key"] as? String == "key")
      }
      #expect(lines.contains { ($0["fence"] as? UInt64 ?? 0) > 0 })
      #expect(lines.contains { ($0["pid"] as? Int ?? 0) > 0 })
      #expect(lines.contains { $0["held"] is Double && $0["exitStatus"] as? Int == 3 })
      let wrong = try await ToolProcess.run(["run", "--json-log", "--nonsense"], on: server)
      #expect(wrong.status == 64)
      #expect(try object(wrong.errors)["level"] as? String == "error")
      let conflict = try await ToolProcess.run(
        [
          "run", "--json-log", "--ttl", "1s", "key", "-c",
          "exec '\(ToolProcess.path)' run -n --json-log key -- true",
        ],
        on: server)
      #expect(try object(conflict.errors)["exitStatus"] as? Int == 64)
    }

    @Test("Text messages carry the time unless a terminal shows them")
    func times() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let run = try await ToolProcess.run(["run", "-v", "key", "--", "true"], on: server)
      for line in run.errors.split(separator: "\n") {
        #expect(line.wholeMatch(of: /20[0-9T:.-]+Z redis-lock: .*/) != nil, "\(line)")
      }
    }

    @Test("A command that does not end is killed, and the message tells its process number")
    func killed() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        [
          "run", "key", "--grace", "300ms", "-c",
          "trap '' TERM; echo $$; while :; do sleep 1; done",
        ],
        on: server)
      await until("it runs") { tool.output.hasSuffix("\n") }
      _ = try RedisClient(server)("DEL", "key")
      let outcome = await tool.outcome()
      #expect(outcome.status == 76)
      let id = outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)
      #expect(outcome.errors.contains("killed process \(id) with SIGKILL"), "\(outcome.errors)")
    }

    @Test("Mistakes from habits of flock are answered with the intended command line")
    func hints() async throws {
      let bare = try await ToolProcess.run(["job", "--", "echo", "hi"])
      #expect(bare.status == 64 && bare.output.isEmpty)
      #expect(bare.errors.contains("Did you mean: redis-lock run job -- echo …\n"))
      let short = try await ToolProcess.run(["job", "echo", "hi"])
      #expect(short.errors.contains("Did you mean: redis-lock run job -- echo …\n"))
      let undashed = try await ToolProcess.run(["run", "job", "echo", "hi"])
      #expect(undashed.status == 64)
      #expect(undashed.errors.contains("Did you mean: redis-lock run job -- echo …"))
      let keyless = try await ToolProcess.run(["run", "echo", "hi"])
      #expect(keyless.status == 64 && keyless.output.isEmpty)
      #expect(keyless.errors.contains("a command is needed, either after -- or with -c"))
    }

    @Test(
      "No message about a mistake repeats a password",
      arguments: [
        ["job", "--url", "redis://:s3cret@host", "true"],
        ["redis://me:s3cret@host", "echo", "hi"], ["job", "mysql", "-ps3cret"],
        ["run", "job", "mysql://me:s3cret@host"], ["run", "job", "redis://me:s3cret@host", "x"],
        ["run", "job", "mysql", "-ps3cret"], ["run", "job", "mysql", "-E", "s3cret"],
        ["status", "--format", "redis://me:s3cret@host"],
        ["status", "--url=redis://me:s3cret@host:port", "job"],
      ])
    func mistakesWithPasswords(words: [String]) async throws {
      let outcome = try await ToolProcess.run(words)
      #expect(outcome.status == 64)
      #expect(!(outcome.errors + outcome.output).contains("s3cret"), "\(outcome.errors)")
    }

    @Test(
      "The label of a shell command is its first word, but never a variable's value",
      arguments: [
        ("cat", "cat"), ("/usr/bin/env cat", "env"), ("PASSWORD=s3cret cat", "sh"),
        ("P='a s3cret' cat", "sh"), ("$S3CRET; cat", "sh"), ("  cat", "cat"),
      ])
    func labels(command: String, label: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await ToolProcess.run(
        ["run", "key", "-c", "\(command) </dev/null; \(ToolProcess.path) status key"], on: server)
      #expect(outcome.output.contains("held by \(label) on "), "\(outcome.output)")
    }
  }
#endif
