#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  /// Uses script(1), which makes a pseudo-terminal and records what it shows.
  @Suite("redis-lock run on a terminal", .timeLimit(.minutes(5)))
  struct TerminalTests {
    /// Runs a command line in a terminal.
    ///
    /// The variable RUN is the tool, patient with a busy server, and GO is a file that does not exist yet. After
    /// each prompt, the matching input is typed. If the shell cannot report that it is ready, the last input is
    /// typed repeatedly until an answer comes.
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

    // A shell that is about to wait for a process may lose Ctrl-C to that process. So the process to be ended is
    // not a child of a shell.

    /// Lets a command wait until the shell has made the file GO, without a process that could be stopped
    /// separately.
    private static let untilGo = "while [ ! -e $GO ]; do :; done"
    /// Lets a command wait until its job is in the foreground, by its own group or by that of the run.
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

    @Test("On a terminal, Ctrl-C ends the command of a run")
    func interrupt() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await type(
        [("ready", "\\003")], into: "$RUN key -c 'echo ready; exec sleep 100'", on: server)
      #expect(outcome.status == 128 + SIGINT)
      #expect(try server.keys().isEmpty)
    }

    @Test("A run that has not lent the terminal leaves its modes alone, however its command ends")
    func modesOfAnother() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // Another part of the job has the terminal, and sets it for its own use, before the run and during it.
      let outcome = try await type(
        [("ready", "x")],
        into: """
          stty raw -echo
          $RUN key -c 'echo ready; stty sane </dev/tty; kill -KILL $$' | cat
          stty -a </dev/tty | tr ' ' '\\n' | grep -x -e -icanon -e icanon
          """, on: server)
      // The terminal may echo the typed letter in front of it.
      let mode = outcome.output.split(whereSeparator: \.isNewline).last { $0.hasSuffix("icanon") }
      #expect(mode?.hasSuffix("-icanon") == false, "\(outcome.output)")
    }

    @Test(
      "A command that is ended because of its lock while the terminal is raw does not leave it so")
    func rawModes() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await type(
        [("ready", "x")],
        into: """
          $RUN --max-hold 500ms key -- bash --norc -ic 'stty raw -echo; echo ready; sleep 100'
          echo status $?; stty -a | tr ' ' '\\n' | grep -x -e icanon -e opost -e echo
          """, on: server)
      #expect(
        ["status 76", "icanon", "opost", "echo"].allSatisfy(outcome.output.contains),
        "\(outcome.output)")
      #expect(!outcome.output.contains("-icanon"))
    }

    @Test(
      "On a terminal, a run ends by the signal that has ended its command, so that a shell sees it")
    func endsBySignal() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await type(
        [("ready", "x")],
        into:
          "perl -e '$s = system(@ARGV); print \"signal \", $s & 127, \"\\n\"' $RUN key -c 'echo ready; kill -KILL $$'",
        on: server)
      #expect(outcome.output.contains("signal 9"), "\(outcome.output)")
    }

    @Test("On a terminal, Ctrl-Z stops a run and fg resumes it")
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

    @Test("A run that ends in the background leaves the terminal to its present owner")
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
      "A run that is brought to the foreground gives its command the terminal",
      arguments: [
        // A job that is stopped because it reads, and one that is still running.
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

    @Test("If a run is stopped past the end of its lock, it ends the command when it resumes")
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

    /// The output of a shell between the marked lines, with flock(1) or with the tool in its place.
    private func compare(
      _ input: [(prompt: String, keys: String)], _ commands: String, on server: RedisServer
    ) async throws -> (flock: String, tool: String) {
      let folder = try TemporaryFolder()
      var outputs: [String] = []
      for lock in ["flock '\(folder.path("file"))'", "$RUN key --"] {
        let outcome = try await type(
          input, into: commands.replacing("LOCKED", with: lock), on: server)
        // The shell's own messages name the command, which differs.
        // The terminal also shows the typed input and, on a busy machine, the progress.
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
      "A shell can handle a run in the same way as flock", .enabled(if: hasFlock),
      arguments: [
        // In the background, and then in the foreground.
        """
        LOCKED sh -c '\(untilInForeground); echo "= done"' &
        echo = ready; fg >/dev/null; echo = $?
        """,
        // In the background, in the foreground, stopped, and in the foreground again.
        """
        LOCKED sh -c '\(untilInForeground); echo "= ready"; \(untilGo); echo "= done"' &
        fg >/dev/null; echo = $?; : >$GO; fg >/dev/null; echo = $?
        """,
        // Stopped, and then resumed in the background.
        """
        LOCKED sh -c 'echo "= ready"; \(untilGo); echo "= done"'
        echo = $?; : >$GO; bg >/dev/null; wait %1; echo = $?
        """,
        // Stopped with an input that is not a terminal.
        """
        LOCKED sh -c 'echo "= ready"; \(untilGo); cat' </dev/null
        echo = $?; : >$GO; fg >/dev/null; echo = $?
        """,
      ])
    func likeFlock(commands: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // Ctrl-Z, when the shell waits for it to be typed.
      let stops = commands.contains("$GO")
      let input = [(prompt: "= ready", keys: stops ? "\\032" : "")]
      let (flock, tool) = try await compare(input, "set -m\n" + commands, on: server)
      #expect(flock == tool)
      #expect(tool.contains("= 0"), "\(tool)")
      if stops { #expect(tool.contains("= \(128 + SIGTSTP)"), "\(tool)") }
      #expect(try server.keys().isEmpty)
    }

    @Test(
      "Other parts of a run's job have the terminal in the same way as with flock",
      .enabled(if: hasFlock),
      arguments: [
        // Another part reads from the terminal while the command runs, as a pager does.
        """
        LOCKED sh -c 'echo "= ready" >/dev/tty; \(untilGo); echo "= passed"' |
          { read word </dev/tty; echo "= got $word"; : >$GO; cat; }
        """,
        // The command reads from the terminal.
        """
        LOCKED sh -c 'echo "= ready" >/dev/tty; read word </dev/tty; echo "= got $word"' | cat
        """,
        // The command reads from the terminal whatever its input is, as for a password.
        """
        LOCKED sh -c 'echo "= ready"; read word </dev/tty; echo "= got $word"' </dev/null
        """,
        // First the command reads, and then the other part, which asks while the command has the terminal.
        """
        set -m
        LOCKED sh -c 'echo "= ready" >/dev/tty; read word </dev/tty; echo "= first $word"; : >$GO; sleep 1' |
          { \(untilGo); read word </dev/tty; echo "= got $word"; cat; }
        """,
        // A script reads from the terminal, and a process that it has started in the background holds the lock.
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
        // In a loop of a script; the terminal sends the signal to all of it.
        """
        for n in 1 2; do LOCKED sh -c 'echo "= ready"; exec sleep 20'; echo "= next"; done; echo "= end"
        """,
        // With an input that is not a terminal.
        """
        LOCKED sh -c 'echo "= ready"; exec sleep 20' </dev/null; echo "= $?"
        """,
        // In a pipeline.
        """
        LOCKED sh -c 'echo "= ready" >/dev/tty; exec sleep 20' | cat; echo "= next"
        """,
        // With a command that ignores the signal.
        """
        LOCKED sh -c 'trap i=1 INT; echo "= ready"; while [ -z "$i" ]; do :; done; echo "= done"'
        """,
        // In a job of its own: after fg of a background job, and of a stopped job.
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

    @Test("A run that waits on a terminal names the holder, and its messages are short")
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
      "Ctrl-Z stops a run at any moment, even while its shell is about to start a command")
    func stopAnytime() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // A shell that does nothing else waits in vfork most of the time. The test uses no loop, which bash would
      // leave then.
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

    @Test("A run that was stopped and resumed ends with Ctrl-C")
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
      "A waiting run can be stopped with Ctrl-Z, resumed with fg, and ended with Ctrl-C",
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
      // The shell cannot report that it has resumed the run.
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
