#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("The process that guards the command of redis-lock run", .timeLimit(.minutes(2)))
  struct GuardianTests: SignsOfLife {
    /// Words that run a command in the group of the tool's command, in a group of its own, and in a session of its
    /// own.
    static let wrappers: [[String]] = [
      ["env"], ["timeout", "100"], ["setsid", "--fork", "--wait"],
    ]

    @Test(
      "If the tool is killed, its command is ended with all that it has started",
      arguments: wrappers)
    func killed(wrapper: [String]) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let tool = try ToolProcess(
        ["run", "key", "--"] + wrapper + ["sh", "-c", stubborn(folder.path("alive"))], on: server)
      await until("it runs") { !folder.read("alive").isEmpty }
      tool.signal(SIGKILL)
      _ = await tool.outcome()
      let ended = now
      try await expectEnd(folder, of: ended)
    }

    @Test("If the tool is killed, chains of short-lived processes are ended, too")
    func killedWithChain() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let link = folder.path("link")
      // Each link ends as soon as it has started the next, and the last one at some time, whatever happens.
      try
        "sleep 0.02; date +%s%N >>'\(folder.path("alive"))'; [ $1 = 0 ] || setsid sh '\(link)' $(($1 - 1)) &\n"
        .write(toFile: link, atomically: true, encoding: .utf8)
      let start = String(repeating: "sh '\(link)' 3000; ", count: 6)
      let tool = try ToolProcess(["run", "key", "-c", "\(start) sleep 100; :"], on: server)
      await until("all run") { folder.read("alive").count { $0 == "\n" } > 100 }
      tool.signal(SIGKILL)
      _ = await tool.outcome()
      let ended = now
      try await expectEnd(folder, of: ended)
    }

    @Test("If the tool is killed, a process whose first thread has ended is ended, too")
    func killedWithThread() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let program = ToolProcess.lockTaker
      let tool = try ToolProcess(
        ["run", "key", "--"] + Self.wrappers[2] + [program, "thread", folder.path("alive")],
        on: server)
      await until("it runs") { !folder.read("alive").isEmpty }
      tool.signal(SIGKILL)
      _ = await tool.outcome()
      try await expectEnd(folder, of: now)
    }

    #if os(Linux)
      /// Whether a file system whose server does not answer can be made.
      private static var canHang: Bool {
        guard let folder = try? TemporaryFolder() else { return false }
        return SystemTool.runs([ToolProcess.lockTaker, "try-hang", folder.path("")])
      }

      @Test(
        "If the tool is killed, what has left its command's group is ended also while other processes hang",
        .enabled("Only root can mount a file system.") { canHang }, arguments: [1, 40])
      func killedWhileOthersHang(count: Int) async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let (folder, mounted) = (try TemporaryFolder(), try TemporaryFolder())
        let tool = try ToolProcess(
          ["run", "key", "--"] + Self.wrappers[2]
            + ["sh", "-c", stubborn(folder.path("alive"))], on: server)
        await until("it runs") { !folder.read("alive").isEmpty }
        // They are younger, so that their environments would be read first.
        var others: [ToolProcess] = []
        for _ in 0..<count {
          let other = try ToolProcess(
            [], through: [ToolProcess.lockTaker, "hang", mounted.path("")])
          await other.waitUntilSaid("hangs")
          others.append(other)
        }
        tool.signal(SIGKILL)
        _ = await tool.outcome()
        try await expectEnd(folder, of: now)
        for other in others { #expect(other.isRunning) }
      }
    #endif

    @Test("A guardian ends the command also if nothing else is left of the tool's group")
    func killedWithItsGroup() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      // The shell gives the tool a group of its own, and reaps it.
      let script = """
        set -m; "$0" run key -- timeout 100 sh -c "$1" & until [ -s "$2" ]; do sleep 0.02; done
        kill -KILL $!; wait $!; echo over
        """
      let alive = folder.path("alive")
      let shell = try ToolProcess(
        [stubborn(alive), alive], on: server, through: ["/bin/bash", "-c", script])
      await shell.waitUntilSaid("over")
      try await expectEnd(folder, of: now)
    }

    @Test(
      "A process that a shell started before it became the tool is left alone, also as an orphan",
      arguments: ["exec sleep 100", "sleep 100 & echo $! >\"$1\""])
    func formerChild(helper: String) async throws {
      let (server, folder) = (try RedisServer(), try TemporaryFolder())
      defer { server.stop() }
      // The helper closes the descriptor by which Foundation would wait for it, too.
      let script = """
        (for f in /proc/self/fd/*; do [ ${f##*/} -lt 3 ] || eval "exec ${f##*/}>&-"; done
        echo $BASHPID >"$1"; \(helper)) >/dev/null 2>&1 &
        exec "$0" run --ttl 3s --max-hold 500ms key -- sleep 100
        """
      let tool = try ToolProcess(
        [folder.path("id")], on: server, through: ["/bin/bash", "-c", script])
      #expect(await tool.outcome().status == 76)
      let id = folder.read("id").trimmingCharacters(in: .whitespacesAndNewlines)
      #expect(kill(try #require(pid_t(id)), SIGKILL) == 0, "it runs")
    }

    @Test("If a tool is killed, a run within its command ends, with all that it has started")
    func killedAroundAnother() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let tool = try ToolProcess(
        [
          "run", "outer", "--", ToolProcess.path, "run", "inner", "--", "timeout", "100", "sh",
          "-c",
          stubborn(folder.path("alive")),
        ], on: server)
      await until("it runs") { !folder.read("alive").isEmpty }
      tool.signal(SIGKILL)
      _ = await tool.outcome()
      try await expectEnd(folder, of: now)
    }

    @Test(
      "If the tool is stopped, its command is ended with all that it has started before the lock ends",
      arguments: wrappers)
    func stopped(wrapper: [String]) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let tool = try ToolProcess(
        ["run", "--ttl", "2s", "key", "--"] + wrapper
          + ["sh", "-c", stubborn(folder.path("alive"))], on: server)
      await until("it runs") { !folder.read("alive").isEmpty }
      tool.signal(SIGSTOP)
      let stopped = now
      await until("the lock ends") { try server.keys().isEmpty }
      let last = try signs(folder.read("alive")).last
      #expect(last - stopped < 2_000_000_000, "it outlived the lock")
      // Longer than a hanging tool is given to report why it hangs.
      try await Task.sleep(for: .milliseconds(2500))
      tool.signal(SIGCONT)
      #expect(await tool.outcome().status == 76)
      #expect(try signs(folder.read("alive")).last == last)
    }

    #if os(Linux)
      private func isStopped(_ process: pid_t) -> Bool {
        let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        return status?.contains("\nState:\tT") ?? false
      }

      /// Starts a run with a ttl of 3 s, whose command ignores SIGTERM, and waits until that runs.
      private func startStubborn() async throws -> (RedisServer, ToolProcess, TemporaryFolder) {
        let (server, folder) = (try RedisServer(), try TemporaryFolder())
        let tool = try ToolProcess(
          ["run", "--ttl", "3s", "key", "-c", stubborn(folder.path("alive"))], on: server)
        await until("it runs") { !folder.read("alive").isEmpty }
        return (server, tool, folder)
      }

      /// Expects that the command of a stopped tool does not outlive the lock, and continues the tool.
      private func expectEndWithLock(
        of tool: ToolProcess, in folder: TemporaryFolder, on server: RedisServer,
        since stopped: Int64
      ) async throws {
        await until("the lock ends") { try server.keys().isEmpty }
        try await expectEnd(folder, of: stopped + 1_000_000_000)
        tool.signal(SIGCONT)
      }

      @Test(
        "If the tool and the guardian are stopped, or one is killed and the other stopped, the command is ended",
        arguments: [SIGSTOP, SIGKILL])
      func bothStopped(signal: Int32) async throws {
        let (server, tool, folder) = try await startStubborn()
        defer { server.stop() }
        let guardian = try #require(tool.guardian)
        // At the same time, so that neither can help the other.
        tool.signal(SIGSTOP)
        await until("the tool is stopped") { isStopped(tool.processID) }
        kill(guardian, SIGSTOP)
        tool.signal(signal)
        let stopped = now
        try await expectEndWithLock(of: tool, in: folder, on: server, since: stopped)
        _ = await tool.outcome()
      }

      @Test("A guardian that is stopped again whenever it is continued ends the command, too")
      func stoppedAgain() async throws {
        let (server, tool, folder) = try await startStubborn()
        defer { server.stop() }
        let guardian = try #require(tool.guardian)
        let stopped = now
        tool.signal(SIGSTOP)
        // Hardly ever does it run before the next one arrives.
        while now < stopped + 1_000_000_000 { kill(guardian, SIGSTOP) }
        try await expectEndWithLock(of: tool, in: folder, on: server, since: stopped)
        _ = await tool.outcome()
      }

      @Test("A run says that no signal may be pending, so that its guardian can be kept stopped")
      func withoutTimers() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let tool = try ToolProcess(
          ["run", "key", "--", "echo", "ran"], on: server,
          through: ["/bin/bash", "-c", "ulimit -i 0; exec \"$0\" \"$@\""])
        let outcome = await tool.outcome()
        #expect(outcome.status == 0 && outcome.output == "ran\n")
        #expect(outcome.errors.contains("the limit of pending signals"), "\(outcome.errors)")
        _ = try RedisClient(server)("SET", "key", "theirs", "PX", "60000")
        let loser = try ToolProcess(
          ["run", "-n", "-E", "0", "key", "--", "echo", "ran"], on: server,
          through: ["/bin/bash", "-c", "ulimit -i 0; exec \"$0\" \"$@\""])
        let silence = await loser.outcome()
        #expect(silence.status == 0 && silence.output.isEmpty && silence.errors.isEmpty)
      }

      @Test(
        "A guardian leaves its command half of the signals that may be pending",
        .enabled("Only root can become a user without processes.") { Nobody.canRun },
        arguments: [(3, "3", 1), (12, "12:1000", 6), (1000, "1000", 12)])
      func withFewTimers(most: Int, limit: String, taken: Int) async throws {
        let server = try RedisServer(listen: .tcp)
        defer { server.stop() }
        let user = "--reuid=\(200_000 + getpid())"
        // For a moment, a signal for the guardian may be pending as well.
        let script = """
          for (1 .. 200) {
            open F, "<", "/proc/self/status"; ($signals) = grep /^SigQ/, <F>;
            last if $signals eq "SigQ:\\t\(taken)/\(most)\\n"; select undef, undef, undef, 0.02 }
          print $signals
          """
        let tool = try ToolProcess(
          ["run", "key", "--", "perl", "-e", script], on: server,
          through: ["/usr/bin/prlimit", "--sigpending=\(limit)", Nobody.command[0], user]
            + Nobody.command.dropFirst(2))
        let outcome = await tool.outcome()
        #expect(outcome.output == "SigQ:\t\(taken)/\(most)\n")
        #expect(outcome.errors.isEmpty)
      }

      @Test("A killed guardian is replaced, and the next one ends the command in time, too")
      func guardianKilled() async throws {
        let (server, tool, folder) = try await startStubborn()
        defer { server.stop() }
        var known: Set<pid_t> = []
        for _ in 0..<3 {
          await until("there is a guardian") {
            (tool.guardian.map { !known.contains($0) }) ?? false
          }
          let found = try #require(tool.guardian)
          known.insert(found)
          kill(found, SIGKILL)
        }
        await until("there is another") {
          (tool.guardian.map { !known.contains($0) }) ?? false
        }
        await until("the new start is reported") { tool.errors.contains("another was started") }
        // A stopped guardian would not guard anything.
        let last = try #require(tool.guardian)
        kill(last, SIGSTOP)
        await until("it goes on") { !isStopped(last) }
        tool.signal(SIGSTOP)
        let stopped = now
        try await expectEndWithLock(of: tool, in: folder, on: server, since: stopped)
        #expect(await tool.outcome().status == 76)
      }

      @Test("If the guardian is killed while a run waits, it is replaced when the command starts")
      func guardianKilledEarly() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let folder = try TemporaryFolder()
        let client = RedisClient(server)
        _ = try client("SET", "key", "theirs")
        let tool = try ToolProcess(
          ["run", "key", "-c", "sh -c \"\(stubborn(folder.path("alive")))\"; true"], on: server)
        await until("it waits") { try client("EXISTS", "redis-lock:queue:{key}").integer == 1 }
        kill(try #require(tool.guardian), SIGKILL)
        _ = try client("DEL", "key")
        await until("it runs") { !folder.read("alive").isEmpty }
        await until("there is another") { tool.guardian != nil }
        tool.signal(SIGKILL)
        _ = await tool.outcome()
        let ended = now
        try await expectEnd(folder, of: ended)
      }

      @Test(
        "A guardian that can start no process ends what a killed tool has left, too",
        .enabled("Only root can set the limit.") { Nobody.canRun })
      func killedWithoutProcesses() async throws {
        let server = try RedisServer(listen: .tcp)
        defer { server.stop() }
        let folder = try TemporaryFolder()
        try FileManager.default.setAttributes(
          [.posixPermissions: 0o777], ofItemAtPath: folder.path(""))
        let tool = try ToolProcess(
          ["run", "key", "--"] + Self.wrappers[2] + ["sh", "-c", stubborn(folder.path("alive"))],
          on: server, through: Nobody.command)
        await until("it runs") { !folder.read("alive").isEmpty }
        let guardian = try #require(tool.guardian)
        let limit = ["prlimit", "--nproc=1", "--pid", "\(guardian)"]
        #expect(SystemTool.runs(Nobody.command + limit))
        tool.signal(SIGKILL)
        _ = await tool.outcome()
        try await expectEnd(folder, of: now)
      }

      @Test(
        "A run whose guardian cannot be replaced gives up its lock",
        .enabled("Only root can set the limit.") { Nobody.canRun })
      func guardianLost() async throws {
        let server = try RedisServer(listen: .tcp)
        defer { server.stop() }
        let tool = try ToolProcess(
          ["run", "key", "-c", "prlimit --nproc=1 --pid $PPID && echo ready; exec sleep 100"],
          on: server, through: Nobody.command)
        await tool.waitUntilSaid("ready")
        kill(try #require(tool.guardian), SIGKILL)
        let outcome = await tool.outcome()
        #expect(outcome.status == 76)
        #expect(outcome.errors.contains("another cannot be started"), "\(outcome.errors)")
        #expect(try server.keys().isEmpty)
      }

      @Test(
        "A run whose guardian cannot be replaced ends its command and itself also without further threads",
        .enabled("Only root can set the limit.") { Nobody.canRun })
      func guardianLostWithoutThreads() async throws {
        let server = try RedisServer(listen: .tcp)
        defer { server.stop() }
        let folder = try TemporaryFolder()
        try FileManager.default.setAttributes(
          [.posixPermissions: 0o777], ofItemAtPath: folder.path(""))
        let tool = try ToolProcess(
          ["run", "key", "-c", "prlimit --nproc=1 --pid $PPID; " + stubborn(folder.path("alive"))],
          on: server, through: Nobody.command)
        await until("it runs") { !folder.read("alive").isEmpty }
        // Dispatch keeps a thread that has nothing to do for five seconds.
        try await Task.sleep(for: .seconds(7))
        kill(try #require(tool.guardian), SIGKILL)
        let ended = now
        try await expectEnd(folder, of: ended)
        #expect(await tool.outcome().status == 76)
      }

      @Test(
        "A run that has lost its lock does not report that it could not release it",
        .enabled("Only root can set the limit.") { Nobody.canRun })
      func lostWithoutThreads() async throws {
        let server = try RedisServer(listen: .tcp)
        defer { server.stop() }
        // Without further threads, the lock can neither be extended nor released.
        let tool = try ToolProcess(
          [
            "run", "--record-for", "0", "--ttl", "3s", "key", "-c",
            "prlimit --nproc=1 --pid $PPID; exec sleep 100",
          ], on: server, through: Nobody.command)
        let outcome = await tool.outcome()
        #expect(outcome.status == 76)
        #expect(outcome.errors.contains("the lock was lost"), "\(outcome.errors)")
        #expect(!outcome.errors.contains("could not be released"), "\(outcome.errors)")
      }
    #endif
  }
#endif
