#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  /// Tests one rule: the tool ends the job in time, whatever its output, its parent or the machine do.
  @Suite("The safety of redis-lock run", .timeLimit(.minutes(2)))
  struct RunSafetyTests: SignsOfLife {
    /// A pipe without a reader, which takes no more bytes.
    private func fullPipe() throws -> Pipe {
      let pipe = Pipe()
      let descriptor = pipe.fileHandleForWriting.fileDescriptor
      _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
      let bytes = [UInt8](repeating: 0x78, count: 4096)
      while unsafe write(descriptor, bytes, bytes.count) > 0 {}
      while unsafe write(descriptor, bytes, 1) > 0 {}
      _ = fcntl(descriptor, F_SETFL, 0)
      return pipe
    }

    @Test("An unread standard error does not keep the command from being ended")
    func stuckErrors() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let (folder, pipe) = (try TemporaryFolder(), try fullPipe())
      let arguments = ["--ttl", "3s", "key", "-c"]
      let first = try ToolProcess(
        ["run", "-v", "--max-hold", "1500ms"] + arguments + [stubborn(folder.path("first"))],
        on: server, errors: pipe.fileHandleForWriting)
      await until("the first runs") { !folder.read("first").isEmpty }
      let second = try ToolProcess(
        ["run", "-w", "20s"] + arguments + [stubborn(folder.path("second"))], on: server)
      #expect(await first.outcome().status == 76)
      await until("the second runs") { !folder.read("second").isEmpty }
      second.signal(SIGKILL)
      let (one, other) = (try signs(folder.read("first")), try signs(folder.read("second")))
      #expect(one.last < other.first, "both ran for \((one.last - other.first) / 1_000_000) ms")
      withExtendedLifetime(pipe) {}
    }

    @Test("An unread standard error does not keep the command alive past its lock")
    func stuckErrorsWithoutServer() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let (folder, pipe) = (try TemporaryFolder(), try fullPipe())
      let tool = try ToolProcess(
        ["run", "-v", "--ttl", "3s", "key", "-c", stubborn(folder.path("alive"))], on: server,
        errors: pipe.fileHandleForWriting)
      await until("it runs") { !folder.read("alive").isEmpty }
      let killed = now
      server.kill()
      #expect(await tool.outcome().status == 76)
      let last = try signs(folder.read("alive")).last
      // The last extension was confirmed before, so the lock is valid for less than its ttl.
      #expect(last - killed < 3_000_000_000)
      withExtendedLifetime(pipe) {}
    }

    @Test("An unread standard error does not keep a mistake in the usage from ending the tool")
    func stuckUsage() async throws {
      let pipe = try fullPipe()
      for words in [["run", "key"], ["key", "--", "true"], []] {
        let tool = try ToolProcess(words, errors: pipe.fileHandleForWriting)
        #expect(await tool.outcome().status == 64)
      }
      withExtendedLifetime(pipe) {}
    }

    @Test("Closed outputs change neither the command nor its status")
    func closedErrors() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let pipe = Pipe()
      try pipe.fileHandleForReading.close()
      let tool = try ToolProcess(
        ["run", "-v", "key", "-c", "touch '\(folder.path("done"))'; exit 7"], on: server,
        errors: pipe.fileHandleForWriting)
      #expect(await tool.outcome().status == 7)
      #expect(FileManager.default.fileExists(atPath: folder.path("done")))
    }

    @Test(
      "A run that loses its lock during a short command is never a success",
      arguments: ["deletion", "forced release", "restart"])
    func lostUnnoticed(by loss: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        ["run", "key", "-c", "echo ready; read line"], on: server, inputPipe: true)
      await tool.waitUntilSaid("ready")
      switch loss {
      case "deletion": try RedisClient(server)("DEL", "key")
      case "forced release":
        let release = try await ToolProcess.run(["release", "--force", "key"], on: server)
        #expect(release.status == 0)
      default:
        // The server saves nothing, so it has forgotten the key.
        server.kill()
        try server.restart()
      }
      try tool.closeInput()
      let outcome = await tool.outcome()
      #expect(outcome.status == 76)
      #expect(outcome.errors.contains("the lock was lost"))
    }

    @Test("A lock with a long ttl that is taken away is noticed within seconds")
    func longTTL() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        ["run", "--ttl", "1h", "key", "-c", "echo ready; exec sleep 100"], on: server)
      await tool.waitUntilSaid("ready")
      _ = try RedisClient(server)("SET", "key", "theirs")
      let outcome = await tool.outcome()
      #expect(outcome.status == 76)
      #expect(outcome.duration < .seconds(20))
    }

    #if os(Linux)
      @Test("Unread messages are dropped and counted, and the run continues")
      func dropped() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let (folder, pipe) = (try TemporaryFolder(), try fullPipe())
        let tool = try ToolProcess(
          ["run", "key", "-c", stubborn(folder.path("alive"))], on: server,
          errors: pipe.fileHandleForWriting)
        try pipe.fileHandleForWriting.close()
        await until("it runs") { !folder.read("alive").isEmpty }
        // Each replacement is one message; there is room for 256 of them.
        var last: pid_t = 0
        for _ in 0..<265 {
          var next: pid_t?
          await until("there is a guardian") {
            next = tool.guardian
            return next.map { $0 != last } ?? false
          }
          last = try #require(next)
          kill(last, SIGKILL)
        }
        let reading = pipe.fileHandleForReading
        async let said = Task.detached { try reading.readToEnd() }.value
        _ = try RedisClient(server)("DEL", "key")
        #expect(await tool.outcome().status == 76)
        let text = String(decoding: try await said ?? Data(), as: UTF8.self)
        #expect(text.contains(" messages were dropped because nothing read them in time"))
      }
    #endif

    @Test("A run waits for a command in a session of its own, and ends it with its lock")
    func ownSession() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let start = ContinuousClock.now
      let waited = try await ToolProcess.run(
        ["run", "key", "--", "setsid", "sleep", "1"], on: server)
      #expect(waited.status == 0)
      #expect(ContinuousClock.now - start >= .seconds(1))
      let folder = try TemporaryFolder()
      let tool = try ToolProcess(
        [
          "run", "--ttl", "3s", "key", "--", "setsid", "-w", "sh", "-c",
          "setsid sh -c \"\(stubborn(folder.path("alive")))\" & wait",
        ], on: server)
      await until("it runs") { !folder.read("alive").isEmpty }
      _ = try RedisClient(server)("SET", "key", "theirs")
      #expect(await tool.outcome().status == 76)
      let last = folder.read("alive")
      try await Task.sleep(for: .milliseconds(100))
      #expect(folder.read("alive") == last, "it is dead")
    }

    @Test(
      "A command that has stopped itself ends when the tool is asked to end",
      .enabled("The test reads the state of a process from /proc.") {
        FileManager.default.fileExists(atPath: "/proc/self/stat")
      })
    func stoppedCommand() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(["run", "key", "-c", "echo $$; kill -STOP $$"], on: server)
      await until("it has stopped") {
        let id = tool.output.trimmingCharacters(in: .whitespacesAndNewlines)
        let stat = try String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8)
        return stat.contains(") T ")
      }
      tool.signal(SIGTERM)
      #expect(await tool.outcome().status == 128 + SIGTERM)
    }

    @Test("The command gets its arguments and its environment byte for byte")
    func bytes() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        [server.url],
        through: [
          "/bin/sh", "-c",
          """
          X=$(printf 'J\\366rg') REDIS_LOCK_URL=$1 "$0" run key -- sh -c \
          'printf "%s|%s" "$1" "$X" | od -An -tx1' sh "$(printf 'f\\351.txt')"
          """,
        ])
      let outcome = await tool.outcome()
      #expect(outcome.status == 0, "\(outcome.errors)")
      #expect(outcome.output.filter { $0 != " " && $0 != "\n" } == "66e92e7478747c4af67267")
    }

    @Test(
      "The command inherits ignored signals, and a parent that ignores SIGCHLD breaks nothing"
    )
    func inheritedDispositions() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        [server.url],
        through: [
          "/bin/sh", "-c",
          """
          trap '' PIPE CHLD; REDIS_LOCK_URL=$1 exec "$0" run key -- \
          sh -c 'kill -PIPE $$; echo survived; exit 3'
          """,
        ])
      let outcome = await tool.outcome()
      #expect(outcome.status == 3)
      #expect(outcome.output == "survived\n")
    }

    @Test("A tool with a time to wait waits for its server, too")
    func waitsForServer() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      server.kill()
      let tool = try ToolProcess(["run", "-w", "30s", "key", "--", "echo", "ran"], on: server)
      await until("it waits") { tool.errors.contains("waiting for the server") }
      try server.restart()
      let outcome = await tool.outcome()
      #expect(outcome.status == 0, "\(outcome.errors)")
      #expect(outcome.output == "ran\n")
    }

    @Test(
      "The orphans of a command of another user that cannot be ended are reaped",
      .enabled("Only root can use two users.") { Nobody.canRun })
    func orphansOfOtherUser() async throws {
      let server = try RedisServer(listen: .tcp)
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let become = try Nobody.makeBecome(in: folder)
      let loop = "while [ -e \(become) ]; do (true &); sleep 0.02; done"
      let script = "echo $$; exec \(become) --reuid=0 --clear-groups sh -c '\(loop)'"
      let tool = try ToolProcess(
        ["run", "--extend", "200ms", "key", "-c", script], on: server, through: Nobody.command)
      await until("it runs") { tool.output.hasSuffix("\n") }
      let guardian = try #require(tool.guardian)
      _ = try RedisClient(server)("DEL", "key")
      await until("the guardian has ended") { tool.guardian != guardian }
      // Longer than it takes the command to leave dozens of orphans.
      try await Task.sleep(for: .seconds(2))
      #expect(tool.zombieCount < 10)
      let id = tool.output.trimmingCharacters(in: .whitespacesAndNewlines)
      kill(try #require(pid_t(id)), SIGKILL)
      #expect(await tool.outcome().status == 76)
    }

    @Test(
      "If a command of another user cannot be ended, the message tells its process number",
      .enabled("Only root can use two users.") { Nobody.canRun }, arguments: ["", "setsid "])
    func otherUser(session: String) async throws {
      let server = try RedisServer(listen: .tcp)
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let become = try Nobody.makeBecome(in: folder)
      let script =
        "echo $$; exec \(session)\(become) --reuid=0 --clear-groups sleep 100"
      let tool = try ToolProcess(
        ["run", "--extend", "200ms", "key", "-c", script], on: server, through: Nobody.command)
      await until("it runs") { tool.output.hasSuffix("\n") }
      let guardian = try #require(tool.guardian)
      let id = tool.output.trimmingCharacters(in: .whitespacesAndNewlines)
      let name = "/proc/\(id)/comm"
      await until("it is another's") {
        try String(contentsOfFile: name, encoding: .utf8) == "sleep\n"
      }
      _ = try RedisClient(server)("DEL", "key")
      await until("it is told") {
        tool.errors.contains("cannot kill process \(id), which runs under the lock")
      }
      #expect(!tool.errors.contains("killed process"))
      // As long as the guardian is not reaped, no other group gets the number that is still signalled.
      // Another would end the rest if the tool were killed now.
      await until("the guardian has a successor that is not signalled") {
        tool.guardian.map { $0 != guardian && getpgid($0) == $0 } ?? false
      }
      #expect(kill(guardian, 0) == 0)
      kill(try #require(pid_t(id)), SIGKILL)
      #expect(await tool.outcome().status == 76)
    }
  }
#endif
