#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("Signals to redis-lock run", .timeLimit(.minutes(5)))
  struct RunSignalTests {
    // MARK: While the command runs

    @Test("If a signal kills the command, the run ends with 128 plus the signal's number")
    func killedCommand() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      for (name, number) in [("TERM", SIGTERM), ("KILL", SIGKILL), ("USR1", SIGUSR1)] {
        let outcome = try await ToolProcess.run(
          ["run", "key", "-c", "kill -\(name) $$"], on: server)
        #expect(outcome.status == 128 + number)
      }
      #expect(try server.keys().isEmpty)
    }

    @Test(
      "A run passes signals on to the command",
      arguments: [
        "INT", "TERM", "HUP", "QUIT", "USR1", "USR2",
      ])
    func forwards(name: String) async throws {
      let numbers = [
        "INT": SIGINT, "TERM": SIGTERM, "HUP": SIGHUP, "QUIT": SIGQUIT, "USR1": SIGUSR1,
        "USR2": SIGUSR2,
      ]
      let server = try RedisServer()
      defer { server.stop() }
      let script = "trap 'echo got it; exit 7' \(name); echo ready; while :; do sleep 0.02; done"
      let tool = try ToolProcess(["run", "key", "-c", script], on: server)
      await tool.waitUntilSaid("ready")
      tool.signal(try #require(numbers[name]))
      let outcome = await tool.outcome()
      #expect(outcome.status == 7)
      #expect(outcome.output == "ready\ngot it\n")
      #expect(try server.keys().isEmpty)
    }

    @Test("A run passes signals on to the command's own children, too")
    func forwardsToGroup() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let inner = "trap 'echo inner; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
      let outer =
        "trap 'wait; echo outer; exit 7' TERM; sh -c \"\(inner)\" & while :; do sleep 0.02; done"
      let tool = try ToolProcess(["run", "key", "-c", outer], on: server)
      await tool.waitUntilSaid("ready")
      tool.signal(SIGTERM)
      let outcome = await tool.outcome()
      #expect(outcome.status == 7)
      #expect(outcome.output == "ready\ninner\nouter\n")
    }

    /// The words that start a program which ignores a signal, as nohup(1) does with SIGHUP.
    private static func ignoring(_ name: String) -> [String] {
      ["/bin/sh", "-c", "trap '' \(name); exec \"$0\" \"$@\""]
    }

    @Test("A run leaves inherited ignored signals ignored, as under nohup")
    func ignored() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        ["run", "key", "--", "sh", "-c", "echo ready; sleep 0.3; echo done"], on: server,
        through: Self.ignoring("HUP"))
      await tool.waitUntilSaid("ready")
      tool.signal(SIGHUP)
      let outcome = await tool.outcome()
      #expect(outcome.status == 0)
      #expect(outcome.output == "ready\ndone\n")
    }

    @Test(
      "A command with a handler of its own gets also what the run's parent ignores",
      arguments: [("HUP", SIGHUP), ("TSTP", SIGTSTP), ("TTIN", SIGTTIN), ("TTOU", SIGTTOU)])
    func ignoredAndHandled(name: String, number: Int32) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let program =
        "$SIG{\(name)} = sub { print qq(handled\\n); exit 7 }; print qq(ready\\n); sleep 1 while 1"
      let tool = try ToolProcess(
        ["run", "key", "--", "perl", "-e", "$| = 1; \(program)"], on: server,
        through: Self.ignoring(name))
      await tool.waitUntilSaid("ready")
      tool.signal(number)
      let outcome = await tool.outcome()
      #expect(outcome.status == 7)
      #expect(outcome.output == "ready\nhandled\n")
    }

    #if os(Linux)
      @Test("A run that waits is not stopped by what its parent ignores")
      func ignoredStop() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let client = RedisClient(server)
        _ = try client("SET", "key", "theirs", "PX", "60000")
        // The shell gives the run a group of its own, which could be stopped.
        let shell = try ToolProcess(
          ["run", "key", "--", "echo", "ran"], on: server,
          through: [
            "/bin/bash", "-mc",
            "(trap '' TSTP; exec \"$0\" \"$@\") & echo $!; wait -f",
          ])
        await until("it waits") { try client("EXISTS", "redis-lock:queue:{key}").integer == 1 }
        let run = try #require(shell.output.split(separator: "\n").first.flatMap { pid_t($0) })
        defer { kill(run, SIGKILL) }
        kill(run, SIGTSTP)
        // Signals are handled in their order.
        kill(run, SIGWINCH)
        _ = try client("DEL", "key")
        await shell.waitUntilSaid("ran")
      }
    #endif

    #if os(Linux)
      @Test("A command gets each of thousands of real-time signals that come at once")
      func realTimeBurst() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let tool = try ToolProcess(
          ["run", "key", "--", ToolProcess.lockTaker, "count", "40", "4000"], on: server)
        await tool.waitUntilSaid("ready")
        // So that all of them are there at once.
        tool.signal(SIGSTOP)
        for _ in 0..<4000 { tool.signal(40) }
        tool.signal(SIGCONT)
        #expect(await tool.outcome().status == 0)
      }
    #endif

    @Test("SIGALRM and SIGWINCH reach the command, too")
    func otherSignals() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let script =
        "trap 'echo alarm' ALRM; trap 'echo size' WINCH; echo ready; while :; do sleep 0.05; done"
      let tool = try ToolProcess(["run", "key", "-c", script], on: server)
      await tool.waitUntilSaid("ready")
      tool.signal(SIGALRM)
      await tool.waitUntilSaid("alarm")
      tool.signal(SIGWINCH)
      await tool.waitUntilSaid("size")
      tool.signal(SIGTERM)
      #expect(await tool.outcome().status == 128 + SIGTERM)
    }

    #if os(Linux)
      @Test("If a run is killed, the command dies with it, and the key ends with its ttl")
      func killed() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let tool = try ToolProcess(
          ["run", "key", "--ttl", "700ms", "--", "sh", "-c", "echo $$; exec sleep 100"], on: server)
        await until("it runs") { tool.output.hasSuffix("\n") }
        let child = try #require(pid_t(tool.output.trimmingCharacters(in: .whitespacesAndNewlines)))
        tool.signal(SIGKILL)
        #expect(await tool.outcome().status == 128 + SIGKILL)
        await until("the command is dead") { kill(child, 0) != 0 || isZombie(child) }
        await until("the key is free") { try server.keys().isEmpty }
      }
    #endif

    // MARK: Before the command runs

    @Test(
      "If a run is interrupted while it waits, it leaves no key and no entry in a queue",
      arguments: [
        SIGINT, SIGTERM, SIGHUP, SIGQUIT,
      ])
    func interruptedWhileWaiting(signal: Int32) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let client = RedisClient(server)
      _ = try client("SET", "key", "theirs", "PX", "60000")
      let tool = try ToolProcess(["run", "key", "--", "echo", "no"], on: server)
      await until("it waits") { try client("EXISTS", "redis-lock:queue:{key}").integer == 1 }
      tool.signal(signal)
      let outcome = await tool.outcome()
      #expect(outcome.status == 128 + signal)
      #expect(outcome.output.isEmpty)
      #expect(try server.keys() == ["key"])
    }

    @Test("A signal ends a run that waits, however early it comes", arguments: [SIGINT, SIGQUIT])
    func interruptedEarly(signal: Int32) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      _ = try RedisClient(server)("SET", "key", "theirs", "PX", "60000")
      for number in 0..<20 {
        let tool = try ToolProcess(["run", "key", "--", "echo", "no"], on: server)
        // The signal is to come at different moments: while the run loads, sets itself up, connects, and waits.
        try await Task.sleep(for: .milliseconds(number * 3))
        tool.signal(signal)
        let outcome = await tool.outcome()
        #expect(outcome.status == 128 + signal && outcome.output.isEmpty)
      }
      await until("no entry in a queue is left") { try server.keys() == ["key"] }
    }

    #if os(Linux)
      #if THREAD_SANITIZER || ADDRESS_SANITIZER
        // They have to exist before the program can have a handler.
        private static let loadingSignals = [SIGINT, SIGTERM]
      #else
        private static let loadingSignals = [SIGINT, SIGTERM, SIGQUIT]
      #endif

      /// Whether the loader names the library that it sets up.
      private static let loaderTalks: Bool = {
        let pipe = NarrowPipe()
        let tool = try? ToolProcess(
          ["--version"], through: ["/usr/bin/env", "LD_DEBUG=files"], errors: pipe.writing)
        guard tool != nil, (try? pipe.writing.close()) != nil else { return false }
        var talks = false
        while let message = pipe.read() {
          talks = talks || message.contains("transferring control")
        }
        return talks
      }()

      @Test(
        "A signal ends a run at each step of its loading", .enabled(if: loaderTalks),
        arguments: loadingSignals)
      func interruptedWhileLoading(signal: Int32) async throws {
        let server = try RedisServer()
        defer { server.stop() }
        _ = try RedisClient(server)("SET", "key", "theirs", "PX", "60000")
        var step = 0
        var isLast = false
        while !isLast {
          step += 1
          // The loader waits until all of its messages but the last have been read.
          let pipe = NarrowPipe()
          let tool = try ToolProcess(
            ["run", "key", "--", "echo", "no"], on: server,
            through: ["/usr/bin/env", "LD_DEBUG=files"], errors: pipe.writing)
          try pipe.writing.close()
          var count = 0
          while let message = pipe.read() {
            isLast = message.contains("transferring control")
            guard isLast || message.contains("calling ") else { continue }
            count += 1
            if count == step { tool.signal(signal) }
            if isLast { break }
          }
          #expect(count >= step)
          // Its further messages are discarded.
          let rest = Task.detached { while pipe.read() != nil {} }
          #expect(await tool.outcome().status == 128 + signal, "step \(step)")
          await rest.value
        }
        #expect(step > 5)
      }

      private static let blocks = ["/usr/bin/env", "--block-signal=TERM,INT,QUIT,ALRM"]

      @Test(
        "A signal that the parent has blocked ends a run before it waits",
        .enabled("The test needs the env of GNU.") { SystemTool.runs(blocks + ["true"]) },
        arguments: [SIGTERM, SIGINT, SIGQUIT, SIGALRM])
      func blocked(signal: Int32) async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let tool = try ToolProcess(
          ["run", "key", "--", "echo", "no"], on: server,
          through: Self.blocks + ["/bin/sh", "-c", "kill -\(signal) $$; exec \"$0\" \"$@\""])
        let outcome = await tool.outcome()
        #expect(outcome.status == 128 + signal && outcome.output.isEmpty)
        #expect(outcome.errors.contains("interrupted while waiting"))
        #expect(try server.keys().isEmpty)
      }

      @Test(
        "A command whose parent has blocked signals runs, and has them blocked",
        .enabled("The test needs the env of GNU.") { SystemTool.runs(blocks + ["true"]) })
      func blockedForCommand() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let tool = try ToolProcess(
          ["run", "key", "-c", "kill -TERM $$; echo ran"], on: server, through: Self.blocks)
        let outcome = await tool.outcome()
        #expect(outcome.status == 0 && outcome.output == "ran\n")
      }

      /// Lets the tool handle signals until it has used so many seconds of processor time.
      private func tire(_ tool: ToolProcess, seconds: Double) async {
        await until("it has used its time", within: .seconds(60)) {
          for _ in 0..<1000 { tool.signal(SIGWINCH) }
          let stat = try String(contentsOfFile: "/proc/\(tool.processID)/stat", encoding: .utf8)
          let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
          let ticks = fields[11...12].compactMap { Double($0) }.reduce(0, +)
          return ticks / Double(sysconf(Int32(_SC_CLK_TCK))) >= seconds
        }
      }

      @Test("A limit of processor time that the tool itself reaches does not count for the command")
      func processorTime() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let client = RedisClient(server)
        _ = try client("SET", "key", "theirs", "PX", "60000")
        let tool = try ToolProcess(
          ["run", "key", "-c", "ulimit -S -t; read line; exit 3"], on: server,
          through: ["/bin/bash", "-c", "ulimit -S -t 1; exec \"$0\" \"$@\""], inputPipe: true)
        await until("it waits") { try client("EXISTS", "redis-lock:queue:{key}").integer == 1 }
        await tire(tool, seconds: 1.1)
        _ = try client("DEL", "key")
        await tool.waitUntilSaid("1\n")
        await tire(tool, seconds: 2.2)
        try tool.closeInput()
        #expect(await tool.outcome().status == 3)
      }

      @Test("Real-time signals end a run that waits, and reach a command that runs")
      func realTime() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        // The first and the last one that programs may use; Swift has no names for them.
        for signal in [34, 64] as [Int32] {
          let script =
            "trap 'echo got it; exit 7' \(signal); echo ready; while :; do sleep 0.02; done"
          let tool = try ToolProcess(["run", "key", "--", "bash", "-c", script], on: server)
          await tool.waitUntilSaid("ready")
          let waiter = try ToolProcess(["run", "key", "--", "echo", "no"], on: server)
          await until("it waits") {
            try RedisClient(server)("EXISTS", "redis-lock:queue:{key}").integer == 1
          }
          waiter.signal(signal)
          #expect(await waiter.outcome().status == 128 + signal)
          tool.signal(signal)
          let outcome = await tool.outcome()
          #expect(outcome.status == 7)
          #expect(outcome.output == "ready\ngot it\n")
        }
        await until("nothing stays") { try server.keys().isEmpty }
      }
    #endif
  }
#endif
