#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  /// With script(1), which makes a pseudo-terminal and writes down what it shows.
  @Suite("redis-lock run on a terminal", .timeLimit(.minutes(5)))
  struct TerminalTests {
    /// Runs a command line in a terminal, in which the variable RUN is the tool, patient with a busy server, and GO a
    /// file that is not there yet.
    ///
    /// After each prompt, the input that goes with it is typed; the last one again and again until an answer is there, if
    /// the shell cannot say when it has come so far.
    private func type(
      _ input: [(prompt: String, keys: String)], until answer: String? = nil,
      into commandLine: String, on server: RedisServer
    ) async throws -> ToolProcess.Outcome {
      let folder = try TemporaryFolder()
      _ = try folder.makeFile("command", commandLine)
      var steps = input.map { prompt, keys in
        "until grep -q '\(prompt)' \"$seen\" || [ -e \"$seen.end\" ]; do sleep 0.02; done; printf '\(keys)'"
      }
      if let answer, let keys = input.last?.keys {
        steps.append(
          """
          until grep -q '\(answer)' "$seen" || [ -e "$seen.end" ]; do sleep 0.2; printf '\(keys)'; done
          """)
      }
      let launcher = """
        export LOCK="$0" RUN="$0 run -w 60s" seen='\(folder.path("seen"))' GO='\(folder.path("go"))'; : >"$seen"
        { \(steps.joined(separator: "\n")); while [ ! -e "$seen.end" ]; do sleep 0.02; done; } |
          { script -qefc "bash '\(folder.path("command"))'" "$seen"; code=$?; : >"$seen.end"; exit $code; }
        """
      return try await ToolProcess([], on: server, through: ["/bin/bash", "-c", launcher]).outcome()
    }

    // A shell that is about to wait for a process may lose Ctrl-C to it: what is to be ended is no child of one.

    /// What a command waits with until the shell has made the file GO, without a process that could be stopped apart.
    private static let untilGo = "while [ ! -e $GO ]; do :; done"
    /// What a command waits with until its job is in the foreground, by its own group or by that of the run.
    private static let untilInForeground = """
      while :; do for p in $$ $PPID; do set -- $(cat /proc/$p/stat); [ $5 = $8 ] && break 2; done; sleep 0.02; done
      """

    @Test("A run on a terminal gives the command the terminal")
    func passesThrough() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await type(
        [("ready", "hello\\n")],
        into: "$RUN key -c 'test -t 0 && test -t 1 && echo ready; read word; echo got $word'",
        on: server)
      #expect(outcome.status == 0)
      #expect(outcome.output.contains("got hello"))
      #expect(try server.keys().isEmpty)
    }

    @Test("A run on a terminal lets Ctrl-C end the command")
    func interrupt() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await type(
        [("ready", "\\003")], into: "$RUN key -c 'echo ready; exec sleep 100'", on: server)
      #expect(outcome.status == 128 + SIGINT)
      #expect(try server.keys().isEmpty)
    }

    @Test("A run on a terminal lets Ctrl-Z stop it, and fg go on")
    func stop() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let commands = """
        set -m
        $RUN key -c 'echo ready; \(Self.untilGo); echo fin\"\"ished'
        echo stopped with $?
        : >$GO; fg >/dev/null
        echo ended with $?
        """
      let outcome = try await type([("ready", "\\032")], into: commands, on: server)
      #expect(outcome.output.contains("stopped with \(128 + SIGTSTP)"))
      #expect(outcome.output.contains("finished"))
      #expect(outcome.output.contains("ended with 0"))
      #expect(try server.keys().isEmpty)
    }

    @Test("A run that ends in the background leaves the terminal to who has it")
    func endInBackground() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let commands = """
        set -m
        $RUN key -c 'echo ready; \(Self.untilGo)'
        : >$GO; bg >/dev/null
        wait
        echo now
        read word </dev/tty
        echo got $word
        """
      let outcome = try await type(
        [("ready", "\\032"), ("now", "hello\\n")], into: commands, on: server)
      #expect(outcome.output.contains("got hello"), "\(outcome.output)")
    }

    @Test(
      "A run that is fetched from the background gives its command the terminal",
      arguments: [
        // Stopped, since it reads; and still running.
        ("echo ready; read word </dev/tty", "sleep 1; fg"),
        ("sleep 1; echo ready; read word </dev/tty", "sleep 0.3; fg"),
      ])
    func fetchedFromBackground(command: String, fetch: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let commands = """
        set -m
        $RUN key -c '\(command); echo got $word' &
        \(fetch) >/dev/null
        """
      let outcome = try await type([("ready", "hello\\n")], into: commands, on: server)
      #expect(outcome.output.contains("got hello"), "\(outcome.output)")
    }

    @Test("A run stopped past the end of its lock ends the command when it goes on")
    func stoppedTooLong() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let commands = """
        set -m
        $RUN key --ttl 3s -c 'echo ready; sleep 100; echo fin\"\"ished'
        echo stopped with $?
        while $LOCK status key >/dev/null; do sleep 0.1; done
        fg >/dev/null
        echo ended with $?
        """
      let outcome = try await type([("ready", "\\032")], into: commands, on: server)
      #expect(outcome.output.contains("stopped with \(128 + SIGTSTP)"))
      #expect(!outcome.output.contains("finished"))
      #expect(outcome.output.contains("ended with 76"))
    }

    /// What is between the lines of a shell, with flock(1) or with the tool in its place.
    private func compare(
      _ input: [(prompt: String, keys: String)], _ commands: String, on server: RedisServer
    ) async throws -> (flock: String, tool: String) {
      let folder = try TemporaryFolder()
      var outputs: [String] = []
      for lock in ["flock '\(folder.path("file"))'", "$RUN key --"] {
        let outcome = try await type(
          input, into: commands.replacing("LOCKED", with: lock), on: server)
        // The shell's own words name the command, which differs.
        // What was typed is shown, too, and on a busy machine progress.
        let words = outcome.output.replacing("^Z", with: "").replacing("\u{1B}[K", with: "")
          .split(whereSeparator: \.isNewline)
          .filter {
            $0.hasPrefix("= ")
          }
        outputs.append(words.joined(separator: "\n"))
      }
      return (outputs[0], outputs[1])
    }

    private static let hasFlock = FileManager.default.fileExists(atPath: "/usr/bin/flock")

    @Test(
      "A run behaves in the hands of a shell as flock does in its place", .enabled(if: hasFlock),
      arguments: [
        // In the background, and fetched.
        """
        LOCKED sh -c '\(untilInForeground); echo "= done"' &
        echo = ready; fg >/dev/null; echo = $?
        """,
        // In the background, fetched, stopped, and fetched again.
        """
        LOCKED sh -c '\(untilInForeground); echo "= ready"; \(untilGo); echo "= done"' &
        fg >/dev/null; echo = $?; : >$GO; fg >/dev/null; echo = $?
        """,
        // Stopped, and then run in the background.
        """
        LOCKED sh -c 'echo "= ready"; \(untilGo); echo "= done"'
        echo = $?; : >$GO; bg >/dev/null; wait %1; echo = $?
        """,
        // Stopped with an input that is no terminal.
        """
        LOCKED sh -c 'echo "= ready"; \(untilGo); cat' </dev/null
        echo = $?; : >$GO; fg >/dev/null; echo = $?
        """,
      ])
    func likeFlock(commands: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // Ctrl-Z, where the shell waits for it to be typed.
      let stops = commands.contains("$GO")
      let input = [(prompt: "= ready", keys: stops ? "\\032" : "")]
      let (flock, tool) = try await compare(input, "set -m\n" + commands, on: server)
      #expect(flock == tool)
      #expect(tool.contains("= 0"), "\(tool)")
      if stops { #expect(tool.contains("= \(128 + SIGTSTP)"), "\(tool)") }
      #expect(try server.keys().isEmpty)
    }

    @Test(
      "Other parts of the job of a run have the terminal as with flock",
      .enabled(if: hasFlock),
      arguments: [
        // Another part reads from it, as a pager does, while the command runs.
        """
        LOCKED sh -c 'echo "= ready" >/dev/tty; \(untilGo); echo "= passed"' |
          { read word </dev/tty; echo "= got $word"; : >$GO; cat; }
        """,
        // The command reads from it.
        """
        LOCKED sh -c 'echo "= ready" >/dev/tty; read word </dev/tty; echo "= got $word"' | cat
        """,
        // The command reads from it, whatever its input is, as for a password.
        """
        LOCKED sh -c 'echo "= ready"; read word </dev/tty; echo "= got $word"' </dev/null
        """,
        // First the command, and then the other part, which asks while the command has it.
        """
        set -m
        LOCKED sh -c 'echo "= ready" >/dev/tty; read word </dev/tty; echo "= first $word"; : >$GO; sleep 1' |
          { \(untilGo); read word </dev/tty; echo "= got $word"; cat; }
        """,
        // A script reads from it, and what it has started in the background holds the lock.
        """
        set -m
        ( LOCKED sh -c ': >$GO; sleep 1' &
          \(untilGo); echo "= ready"; read word </dev/tty; echo "= got $word"; wait; echo "= $?" )
        """,
      ])
    func pipelineLikeFlock(commands: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let scripts = commands.hasPrefix("set -m") ? [commands] : [commands, "set -m\n" + commands]
      for script in scripts {
        let (flock, tool) = try await compare([("= ready", "hello\\nhello\\n")], script, on: server)
        #expect(flock == tool)
        #expect(tool.contains("= got hello"), "\(tool)")
        #expect(try server.keys().isEmpty)
      }
    }

    @Test(
      "Ctrl-C ends a script around a run as it does around flock", .enabled(if: hasFlock),
      arguments: [
        // In a loop of a script, all of which the terminal sends the signal to.
        """
        for n in 1 2; do LOCKED sh -c 'echo "= ready"; exec sleep 20'; echo "= next"; done; echo "= end"
        """,
        // With an input that is no terminal.
        """
        LOCKED sh -c 'echo "= ready"; exec sleep 20' </dev/null; echo "= $?"
        """,
        // In a pipeline.
        """
        LOCKED sh -c 'echo "= ready" >/dev/tty; exec sleep 20' | cat; echo "= next"
        """,
        // With a command that does not mind.
        """
        LOCKED sh -c 'trap i=1 INT; echo "= ready"; while [ -z "$i" ]; do :; done; echo "= done"'
        """,
        // In a job of its own: after fg of what was put into the background, and of what was stopped.
        """
        set -m
        LOCKED sh -c '\(untilInForeground); echo "= ready"; exec sleep 20' &
        fg >/dev/null; echo "= $?"
        """,
      ])
    func interruptLikeFlock(commands: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let (flock, tool) = try await compare([("= ready", "\\003")], commands, on: server)
      #expect(flock == tool)
      #expect(!tool.contains("next") && !tool.contains("end"), "\(tool)")
      await until("nothing stays") { try server.keys().isEmpty }
    }

    @Test("A run that waits on a terminal says for whom, and what it says is short there")
    func progress() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      _ = try RedisClient(server)("SET", "key", "theirs", "PX", "60000")
      let commands = "trap : INT; $RUN -v key -- true; echo; $LOCK run -n key -- true; echo end"
      let outcome = try await type([("(3s)", "\\003")], into: commands, on: server)
      let lines = outcome.output.split(whereSeparator: \.isNewline).filter { !$0.isEmpty }
      #expect(lines.first?.hasPrefix("redis-lock: waiting for key") == true, "\(outcome.output)")
      let progress = outcome.output.components(separatedBy: "\r\u{1B}[K")
        .filter { $0.hasPrefix("redis-lock: key: held by \"theirs\"") }
      #expect(progress.count >= 3 && progress.allSatisfy { $0.prefix { $0 != "\r" }.count <= 79 })
      #expect(lines.contains { $0.hasPrefix("redis-lock: key: held by \"theirs\"") })
    }

    @Test(
      "A run is stopped by Ctrl-Z at any moment, also while its shell is about to start a command")
    func stopAnytime() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // A shell that does nothing else: it waits in vfork most of the time. Not in a loop, which bash leaves then.
      let commands = (1...6).map { n in
        """
        $RUN key-\(n) -c 'echo ready-\(n); while :; do /bin/true; done'
        echo "stopped with $?"
        kill -KILL $(jobs -p) && wait 2>/dev/null
        """
      }
      let stops = (1...6).map { (prompt: "ready-\($0)", keys: "\\032") }
      let outcome = try await type(
        stops, into: "set -m\n" + commands.joined(separator: "\n"), on: server)
      let count = outcome.output.components(separatedBy: "stopped with \(128 + SIGTSTP)").count - 1
      #expect(count == 6, "\(outcome.output)")
    }

    @Test("A run that was stopped and fetched ends with Ctrl-C")
    func interruptAfterStop() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let commands = """
        set -m; trap : INT
        $RUN key -c 'echo ready; \(Self.untilGo); echo go on; exec sleep 100'
        echo stopped with $?
        : >$GO; fg >/dev/null
        echo ended with $?
        """
      let outcome = try await type(
        [("ready", "\\032"), ("go on", "\\003")], into: commands, on: server)
      #expect(outcome.output.contains("stopped with \(128 + SIGTSTP)"), "\(outcome.output)")
      #expect(outcome.output.contains("ended with \(128 + SIGINT)"), "\(outcome.output)")
      await until("nothing stays") { try server.keys().isEmpty }
    }

    @Test(
      "A run that waits for its lock stops with Ctrl-Z, goes on with fg, and ends with Ctrl-C",
      arguments: [true, false])
    func whileWaiting(isStopped: Bool) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      _ = try RedisClient(server)("SET", "key", "theirs")
      let commands = """
        set -m; trap : INT
        $RUN -v key -- echo ran
        echo ended with $?
        fg >/dev/null
        echo then with $?
        """
      let keys = isStopped ? [("waiting", "\\032"), ("ended", "\\003")] : [("waiting", "\\003")]
      // The shell cannot say that it has fetched the run.
      let outcome = try await type(
        keys, until: isStopped ? "then with" : nil, into: commands, on: server)
      let first = isStopped ? 128 + SIGTSTP : 128 + SIGINT
      #expect(outcome.output.contains("ended with \(first)"), "\(outcome.output)")
      if isStopped {
        #expect(outcome.output.contains("then with \(128 + SIGINT)"), "\(outcome.output)")
      }
      #expect(!outcome.output.contains("ran\r\n"))
      await until("no place in the queue is left") { try server.keys() == ["key"] }
    }
  }
#endif
