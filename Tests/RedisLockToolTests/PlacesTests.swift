#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  @testable import RedisLockTool

  @Suite("Surroundings in which redis-lock runs", .timeLimit(.minutes(2)))
  struct PlacesTests {
    // MARK: In a container

    @Test(
      "As the first process of a container, a run passes signals on and is ended by them",
      .enabled("Only root can make a container.") { Container.canRun },
      arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
    func signalsInContainer(signal: Int32) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let names = [SIGINT: "INT", SIGTERM: "TERM", SIGHUP: "HUP", SIGQUIT: "QUIT"]
      let name = try #require(names[signal])
      let script = "trap 'echo got it; exit 7' \(name); echo ready; while :; do sleep 0.02; done"
      let holder = try ToolProcess(
        ["run", "key", "-c", script], on: server, through: Container.command)
      await holder.waitUntilSaid("ready")
      let waiter = try ToolProcess(
        ["run", "key", "--", "echo", "no"], on: server, through: Container.command)
      let client = RedisClient(server)
      await until("it waits") { try client("EXISTS", "redis-lock:queue:{key}").integer == 1 }
      kill(try await Container.firstProcess(of: waiter), signal)
      #expect(await waiter.outcome().status == 128 + signal)
      kill(try await Container.firstProcess(of: holder), signal)
      let outcome = await holder.outcome()
      #expect(outcome.status == 7 && outcome.output == "ready\ngot it\n", "\(outcome)")
      await until("nothing stays") { try server.keys().isEmpty }

      let watch = try ToolProcess(
        ["status", "--watch", "key"], on: server, through: Container.command)
      await watch.waitUntilSaid("free")
      kill(try await Container.firstProcess(of: watch), signal)
      #expect(await watch.outcome().status == 128 + signal)
    }

    @Test(
      "As the first process of a container, a run reaps orphans",
      .enabled("Only root can make a container.") { Container.canRun })
    func orphans() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // Their parents end at once. The test counts those that have ended but have not been reaped.
      let script = """
        for n in 1 2 3 4 5; do sh -c 'sleep 0.1 &'; done
        while cat /proc/[0-9]*/comm | grep -q sleep; do :; done
        for n in 1 2 3 4 5 6 7 8 9 10; do cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z '; done | tail -n 1
        """
      let tool = try ToolProcess(
        ["run", "key", "-c", script], on: server, through: Container.command)
      let outcome = await tool.outcome()
      #expect(outcome.status == 0 && outcome.output == "0\n", "\(outcome)")
    }

    private static let noProc = [
      "/usr/bin/unshare", "-m", "/bin/sh", "-c", "umount -l /proc && exec \"$0\" \"$@\"",
    ]

    // Dispatch crashes there after a moment.
    @Test(
      "Without /proc, a run says so and does not ask for a lock",
      .enabled("Only root can remove it.") { SystemTool.runs(noProc + ["true"]) })
    func withoutProc() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        ["run", "key", "--", "echo", "ran"], on: server, through: Self.noProc)
      let outcome = await tool.outcome()
      #expect(outcome.status == 71 && outcome.output.isEmpty, "\(outcome)")
      #expect(outcome.errors.contains("/proc cannot be read"))
      #expect(try RedisClient(server)("DBSIZE") == .integer(0))
    }

    // MARK: Inherited properties

    @Test(
      "The command inherits the signal mask and the environment, in its order and with all oddities"
    )
    func inherited() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let variables = [
        "B=1", "ODD", "A=1", "PATH=/usr/bin:/bin", "A=2", "=C", "REDIS_LOCK_URL=\(server.url)",
        "Z=",
      ]
      let words = [ToolProcess.path, "run", "key", "--", "cat", "/proc/self/environ"]
      let status = [ToolProcess.path, "run", "key", "--", "cat", "/proc/self/status"]
      #expect(try spawn(words, variables, output: folder.path("environment")) == 0)
      #expect(try spawn(status, variables, output: folder.path("status")) == 0)
      let environment = folder.read("environment").split(separator: "\0").map(String.init)
      #expect(Array(environment.prefix(variables.count)) == variables)
      let names = environment.dropFirst(variables.count).map { $0.prefix { $0 != "=" } }
      #expect(names == ["REDIS_LOCK_TOKEN", "REDIS_LOCK_KEY", "REDIS_LOCK_FENCE"])
      let mask = folder.read("status").split(separator: "\n").first { $0.hasPrefix("SigBlk:") }
      #expect(mask == "SigBlk:\t0000000000000a00")
      // The tool itself ignores SIGPIPE.
      let ignored = folder.read("status").split(separator: "\n").first { $0.hasPrefix("SigIgn:") }
      let bits = try #require(
        ignored.flatMap { UInt64($0.dropFirst("SigIgn:\t".count), radix: 16) })
      #expect(bits >> (SIGPIPE - 1) & 1 == 0)
    }

    /// Runs a program with an environment, SIGUSR1 and SIGUSR2 blocked, SIGPIPE not ignored, and its output in a file.
    ///
    /// Returns its status.
    private func spawn(_ words: [String], _ variables: [String], output: String) throws -> Int32 {
      var actions = unsafe posix_spawn_file_actions_t()
      var attributes = posix_spawnattr_t()
      unsafe posix_spawn_file_actions_init(&actions)
      unsafe posix_spawnattr_init(&attributes)
      defer {
        unsafe posix_spawn_file_actions_destroy(&actions)
        unsafe posix_spawnattr_destroy(&attributes)
      }
      unsafe posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT, 0o600)
      var mask = sigset_t()
      for signal in [SIGUSR1, SIGUSR2] { unsafe sigaddset(&mask, signal) }
      unsafe posix_spawnattr_setsigmask(&attributes, &mask)
      var usual = sigset_t()
      unsafe sigaddset(&usual, SIGPIPE)
      unsafe posix_spawnattr_setsigdefault(&attributes, &usual)
      unsafe posix_spawnattr_setflags(
        &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
      var id: pid_t = 0
      let error = unsafe withCStrings(words) { words in
        unsafe withCStrings(variables) { variables in
          unsafe posix_spawn(&id, ToolProcess.path, &actions, &attributes, words, variables)
        }
      }
      guard error == 0 else { throw POSIXError(POSIXErrorCode(rawValue: error) ?? .ENOENT) }
      var status: Int32 = 0
      while unsafe waitpid(id, &status, 0) < 0, errno == EINTR {}
      return status
    }

    // MARK: Warnings of the library

    @Test("Warnings of the library reach the user of a run")
    func warnings() async throws {
      let server = try RedisServer(
        arguments: ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"])
      defer { server.stop() }
      // The library inspects the server with the first extension.
      let tool = try ToolProcess(
        ["run", "--extend", "100ms", "key", "--", "sleep", "100"], on: server)
      await until("it is said") { tool.errors.contains("set maxmemory-policy to noeviction") }
      tool.signal(SIGTERM)
      #expect(await tool.outcome().status == 128 + SIGTERM)
    }

    @Test("The warning that a lock was extended late reaches the user of a run")
    func lateExtension() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        [
          "run", "--ttl", "6s", "--extend", "200ms", "--grace", "100ms", "key", "-c",
          "echo ready; exec sleep 100",
        ], on: server)
      await tool.waitUntilSaid("ready")
      server.pause()
      // More than half of the ttl, and less than most of it.
      try await Task.sleep(for: .milliseconds(3300))
      server.resume()
      await until("it is said") { tool.errors.contains("A lock was extended late") }
      tool.signal(SIGTERM)
      #expect(await tool.outcome().status == 128 + SIGTERM)
    }

    @Test("The warning that a waiter has to poll reaches the user of its run")
    func pollingWarning() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let client = RedisClient(server)
      _ = try client(
        "ACL", "SETUSER", "worker", "on", ">hush-hush", "~*", "resetchannels", "+@all")
      try client("SET", "key", "theirs")
      let url = "unix://worker:hush-hush@\(try #require(server.socketPath))"
      let tool = try ToolProcess(["run", "key", "--", "echo", "ran"], url: url)
      await until("it is said") { tool.errors.contains("Waiters poll") }
      try client("DEL", "key")
      let outcome = await tool.outcome()
      #expect(outcome.status == 0 && outcome.output == "ran\n", "\(outcome)")
    }
  }
#endif
