#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("redis-lock run and flock on a terminal", .timeLimit(.minutes(5)), .enabled(if: hasFlock))
  struct TerminalLikeFlockTests {
    /// The output of a shell between the marked lines, with flock(1) or with the tool in its place.
    ///
    /// The last input is typed repeatedly until there is an answer, if any.
    private func compare(
      _ input: [(prompt: String, keys: String)], until answer: String? = nil, _ commands: String,
      on server: RedisServer
    ) async throws -> (flock: String, tool: String) {
      let folder = try TemporaryFolder()
      let file = folder.path("file")
      // What succeeds when something waits for the lock: the system lists the waits for files.
      let waits = "grep -q -- \"-> .*:$(stat -c %i '\(file)') \" /proc/locks"
      var outputs: [String] = []
      for (lock, isWaitedFor) in [
        ("flock '\(file)'", waits), ("$RUN key --", "$LOCK status key | grep -q 'in the queue'"),
      ] {
        let outcome = try await Terminal.type(
          input, until: answer,
          into: commands.replacing("LOCKED", with: lock).replacing("WAITED", with: isWaitedFor),
          on: server)
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

    @Test(
      "A shell can handle a run in the same way as flock",
      arguments: [
        // In the background, and then in the foreground.
        """
        LOCKED sh -c '\(Terminal.untilInForeground); echo "= done"' &
        echo = ready; fg >/dev/null; echo = $?
        """,
        // In the background, in the foreground, stopped, and in the foreground again.
        """
        LOCKED sh -c '\(Terminal.untilInForeground); echo "= ready"; \(Terminal.untilGo); echo "= done"' &
        fg >/dev/null; echo = $?; : >$GO; fg >/dev/null; echo = $?
        """,
        // Stopped, and then resumed in the background.
        """
        LOCKED sh -c 'echo "= ready"; \(Terminal.untilGo); echo "= done"'
        echo = $?; : >$GO; bg >/dev/null; wait %1; echo = $?
        """,
        // Stopped with an input that is not a terminal.
        """
        LOCKED sh -c 'echo "= ready"; \(Terminal.untilGo); cat' </dev/null
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
      arguments: [
        // Another part reads from the terminal while the command runs, as a pager does.
        """
        LOCKED sh -c 'echo "= ready" >/dev/tty; \(Terminal.untilGo); echo "= passed"' |
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
        // First the command reads, and then the other part, as a pager does.
        """
        LOCKED sh -c 'echo "= ready" >/dev/tty; read word </dev/tty; echo "= first $word"; : >$GO; sleep 1' |
          { \(Terminal.untilGo); read word </dev/tty; echo "= got $word"; cat; }
        """,
        // Both read at the same time.
        """
        LOCKED sh -c 'echo "= ready" >/dev/tty; head -n 1 </dev/tty | sed "s/^/= got /"' |
          { head -n 1 </dev/tty | sed "s/^/= got /"; cat; }
        """,
        // A script reads from the terminal, and a process that it has started in the background holds the lock.
        """
        set -m
        ( LOCKED sh -c ': >$GO; sleep 1' &
          \(Terminal.untilGo); echo "= ready"; read word </dev/tty; echo "= got $word"; wait; echo "= $?" )
        """,
      ])
    func pipelineLikeFlock(commands: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // In the session of a container, in that of a shell, and in a script that a shell has started.
      let inScript = "script=$(cat <<'END'\n\(commands)\nEND\n)\nset -m; bash -c \"$script\""
      let scripts = [commands, "set -m\n" + commands, inScript]
      for script in commands.hasPrefix("set -m") ? [commands] : scripts {
        let (flock, tool) = try await compare([("= ready", "hello\\nhello\\n")], script, on: server)
        #expect(flock == tool)
        #expect(tool.contains("= got hello"), "\(tool)")
        #expect(try server.keys().isEmpty)
      }
    }

    @Test(
      "Ctrl-C ends a script around a run as it does around flock",
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
        // In a job of its own, after fg of a background job.
        """
        set -m
        LOCKED sh -c '\(Terminal.untilInForeground); echo "= ready"; exec sleep 20' &
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

    /// Tells the status of the last command on a line of its own: the terminal may show typed keys before it.
    ///
    /// After Ctrl-C, a shell leaves out the rest of the line of its script.
    private static let say = #"say() { code=$?; printf '\n%s\n' "$1$code"; }"#

    @Test(
      "Ctrl-C ends a run that was stopped and resumed as it ends flock",
      arguments: ["", "</dev/null", "| cat"])
    func interruptResumedLikeFlock(input: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let commands = """
        set -m; set -o pipefail; trap : INT; \(Self.say)
        LOCKED sh -c 'echo "= ready" >/dev/tty; \(Terminal.untilGo); echo "= again" >/dev/tty; exec sleep 20' \(input)
        say "= "; : >$GO
        fg >/dev/null
        say "= "
        """
      let keys = [("= ready", "\\032"), ("= again", "\\003")]
      let (flock, tool) = try await compare(keys, commands, on: server)
      #expect(flock == tool)
      let statuses = [128 + SIGTSTP, 128 + SIGINT].map { "= \($0)" }
      #expect(statuses.allSatisfy(tool.contains), "\(tool)")
      await until("nothing stays") { try server.keys().isEmpty }
    }

    @Test(
      "Ctrl-C and Ctrl-Z have the same effect on a run that waits as on flock",
      arguments: [true, false], ["", "</dev/null"])
    func waitLikeFlock(isStopped: Bool, input: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let resume = isStopped ? "fg >/dev/null\nsay '= then '" : ":"
      let commands = """
        set -m; trap : INT; \(Self.say)
        LOCKED sh -c ': >$GO; exec sleep 30' & \(Terminal.untilGo)
        ( until WAITED; do sleep 0.02; done; printf '\\n= ready\\n' ) &
        LOCKED echo "= ran" \(input)
        say "= first "
        \(resume)
        kill %1
        """
      let keys = [("= ready", isStopped ? "\\032" : "\\003")]
      let (flock, tool) = try await compare(
        isStopped ? keys + [("= first", "\\003")] : keys, until: isStopped ? "= then" : nil,
        commands, on: server)
      #expect(flock == tool)
      #expect(tool.contains("= first \(128 + (isStopped ? SIGTSTP : SIGINT))"), "\(tool)")
      #expect(tool.contains("= then \(128 + SIGINT)") == isStopped, "\(tool)")
      #expect(!tool.contains("= ran"), "\(tool)")
      await until("nothing stays") { try server.keys().isEmpty }
    }
  }

  private let hasFlock = FileManager.default.fileExists(atPath: "/usr/bin/flock")
#endif
