#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("Checks of redis-lock run before it asks for the lock", .timeLimit(.minutes(2)))
  struct RunStartTests {
    @Test("A tool without a command is a usage error")
    func nothingToDo() async throws {
      #expect(try await ToolProcess.run([]).status == 64)
    }

    @Test("If an argument of the tool itself is not UTF-8, it is refused, and nothing is locked")
    func notUTF8() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        [server.url],
        through: [
          "/bin/sh", "-c", "REDIS_LOCK_URL=$1 exec \"$0\" run \"$(printf 'k\\351y')\" -- echo ran",
        ])
      let outcome = await tool.outcome()
      #expect(outcome.status == 64)
      #expect(outcome.output.isEmpty)
      #expect(outcome.errors.contains("UTF-8"))
      #expect(try server.keys().isEmpty)
    }

    @Test("A command that cannot be started is noticed before the lock is taken")
    func tooLarge() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let keys = ["a", "b"].map { String(repeating: $0, count: 70_000) }
      let outcome = try await ToolProcess.run(["run"] + keys + ["--", "echo", "ran"], on: server)
      #expect(outcome.status == 126)
      #expect(outcome.output.isEmpty)
      #expect(try RedisClient(server)("DBSIZE") == .integer(0))
    }

    @Test(
      "A tool that may create too few threads says so and does not ask for a lock",
      .enabled("Only root can set the limit.") { Nobody.canRun })
    func tooFewThreads() async throws {
      let server = try RedisServer(listen: .tcp)
      defer { server.stop() }
      let tool = try ToolProcess(
        ["run", "key", "--", "echo", "ran"], on: server,
        through: Nobody.command + ["prlimit", "--nproc=5"])
      let outcome = await tool.outcome()
      #expect(outcome.status == 71)
      #expect(outcome.output.isEmpty)
      #expect(outcome.errors.contains("threads"))
      #expect(try RedisClient(server)("DBSIZE") == .integer(0))
    }

    @Test(
      "However few threads a tool may create, it keeps its lock or does not ask for one",
      .enabled("Only root can set the limit.") { Nobody.canRun })
    func fewThreads() async throws {
      let server = try RedisServer(listen: .tcp)
      defer { server.stop() }
      // The limit counts a user's processes, so each run has a user of its own.
      let tools = try (8...20).map { limit in
        try ToolProcess(
          ["run", "--ttl", "3s", "key \(limit)", "--", "sleep", "4"], on: server,
          through: [Nobody.command[0], "--reuid=\(64_000 + limit)", "--clear-groups"]
            + ["prlimit", "--nproc=\(limit)"])
      }
      for tool in tools {
        let outcome = await tool.outcome()
        let hasRun = outcome.status == 0 && outcome.errors.isEmpty
        let hasRefused = outcome.status == 71 && outcome.errors.contains("too few threads")
        #expect(hasRun || hasRefused, "\(outcome)")
      }
    }

    @Test(
      "However few files a tool may open, it runs the command or does not ask for a lock",
      arguments: [5, 6, 8, 9, 12, 14, 15, 16, 20, 42, 43, 44, 60])
    func fewFiles(limit: Int) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        ["run", "--record-for", "0", "key", "--", "echo", "ran"], on: server,
        through: ["/bin/sh", "-c", "ulimit -c 0; ulimit -n \(limit); exec \"$0\" \"$@\""])
      let outcome = await tool.outcome()
      if limit < 43 {
        #expect(outcome.status == 71 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.errors.contains("too few open files"), "\(outcome)")
        #expect(
          try RedisClient(server)("INFO", "commandstats").string?.contains("cmdstat_set:") == false)
      } else {
        #expect(
          outcome.status == 0 && outcome.output == "ran\n" && outcome.errors.isEmpty, "\(outcome)")
      }
    }

    /// Makes a script without an interpreter line that prints how many arguments it has.
    private func countingScript(in folder: TemporaryFolder) throws -> String {
      _ = try folder.makeFile("script", "echo $#")
      let script = folder.path("script")
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
      return script
    }

    @Test(
      "A script without an interpreter line gets as many arguments as it would without the tool")
    func manyArguments() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let script = try countingScript(in: folder)
      let words = Array(repeating: "x", count: 150_000)
      let outcome = try await ToolProcess.run(["run", "key", "--", script] + words, on: server)
      #expect(outcome.status == 0)
      #expect(outcome.output == "150000\n")
    }

    @Test(
      "A script without an interpreter line gets all its arguments also if the stack has no limit",
      .enabled(if: SystemTool.runs(["/bin/sh", "-c", "ulimit -s unlimited"])))
    func manyArgumentsWithoutLimit() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let script = try countingScript(in: folder)
      let tool = try ToolProcess(
        [script], on: server,
        through: [
          "/bin/sh", "-c",
          "ulimit -s unlimited; exec \"$0\" run key -- \"$1\" $(yes x | head -n 300000)",
        ])
      let outcome = await tool.outcome()
      #expect(outcome.status == 0)
      #expect(outcome.output == "300000\n")
    }

    // A sanitizer reserves more address space than there is memory.
    #if os(Linux) && !THREAD_SANITIZER && !ADDRESS_SANITIZER
      @Test(
        "A tool with little address space runs the command or does not ask for a lock",
        arguments: Array(stride(from: 80_000, through: 400_000, by: 40_000)))
      func fewAddresses(kilobytes: Int) async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let tool = try ToolProcess(
          ["run", "--record-for", "0", "key", "--", "echo", "ran"], on: server,
          through: ["/bin/sh", "-c", "ulimit -c 0; ulimit -v \(kilobytes); exec \"$0\" \"$@\""])
        let outcome = await tool.outcome()
        let hasRun = outcome.status == 0 && outcome.output == "ran\n" && outcome.errors.isEmpty
        let hasRefused =
          outcome.status == 71 && outcome.output.isEmpty
          && outcome.errors.contains("too few threads")
        #expect(hasRun || hasRefused, "\(outcome)")
        #expect(hasRun || kilobytes < 400_000)
        #expect(try server.keys().isEmpty)
      }
    #endif

    #if os(Linux)
      @Test("A run keeps the record lock that its process has on standard input")
      func recordLock() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let folder = try TemporaryFolder()
        _ = try folder.makeFile("file", "")
        // As fcntl(2) describes it: kind, origin, begin and length.
        let description = "pack(\"ssx4qqix4\", F_WRLCK, 0, 0, 0, 0)"
        let lock = """
          my $lock = \(description); open(STDIN, "+<", shift) && fcntl(STDIN, F_SETLK, $lock) || die;
          exec @ARGV
          """
        let look = """
          my $lock = \(description); open(F, "+<", shift) && fcntl(F, F_GETLK, $lock) || die;
          print unpack("s", $lock) == F_UNLCK ? "free" : "held"
          """
        let outcome = try await ToolProcess(
          ["run", "key", "--", "perl", "-MFcntl", "-e", look, folder.path("file")], on: server,
          through: ["/usr/bin/env", "perl", "-MFcntl", "-e", lock, folder.path("file")]
        ).outcome()
        #expect(outcome.output == "held", "\(outcome.errors)")
      }
    #endif
  }
#endif
