#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("redis-lock run on a terminal", .timeLimit(.minutes(5)))
  struct TerminalTests {
    @Test("A run on a terminal gives the command the terminal")
    func passesThrough() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await Terminal.type(
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
      let outcome = try await Terminal.type(
        [("ready", "\\003")], into: "$RUN key -c 'echo ready; exec sleep 100'", on: server)
      #expect(outcome.status == 128 + SIGINT)
      #expect(try server.keys().isEmpty)
    }

    @Test("A script goes on at the terminal when its run was killed")
    func killedInScript() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await Terminal.type(
        [("status", "hello\\n")],
        into: """
          $RUN key -c 'kill -KILL $PPID; sleep 100'
          echo status $?; \(Terminal.untilInForeground); read word; echo got $word
          """, on: server)
      #expect(outcome.output.contains("status 137"), "\(outcome.output)")
      #expect(outcome.output.contains("got hello"), "\(outcome.output)")
    }

    @Test("A script goes on at the terminal when its run was killed amid a job of the command")
    func killedAmidJob() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // The inner shell gives each of its jobs a group and the terminal.
      let outcome = try await Terminal.type(
        [("status", "hello\\n")],
        into: """
          $RUN key -- bash --norc -mc 'sh -c "kill -KILL $PPID; sleep 100"; true'
          echo status $?; \(Terminal.untilInForeground); read word; echo got $word
          """, on: server)
      #expect(outcome.output.contains("status 137"), "\(outcome.output)")
      #expect(outcome.output.contains("got hello"), "\(outcome.output)")
    }

    @Test("Ctrl-C ends a script at its runs within a run, as it ends one without them")
    func interruptedNestedRuns() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await Terminal.type(
        [("ready", "\\003")],
        into: """
          bash -c '$RUN outer -- $RUN middle -- $RUN inner -- sh -c "echo ready; exec sleep 100"; echo goes on'
          echo status $?
          """, on: server)
      #expect(!outcome.output.contains("goes on"), "\(outcome.output)")
    }

    @Test("Ctrl-C ends a script at a run within a run whose guardian was replaced")
    func interruptedAfterReplacement() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // The outer run's guardian leads the group that the inner run is in.
      let outcome = try await Terminal.type(
        [("another was started", "\\003")],
        into: """
          bash -c '$RUN outer -- $RUN inner -- sh -c "
            set -- \\$(cat /proc/\\$PPID/stat); kill -KILL \\$5; exec sleep 100"; echo goes on'
          echo status $?
          """, on: server)
      #expect(!outcome.output.contains("goes on"), "\(outcome.output)")
    }

    @Test(
      "A run that cannot release its lock for lack of threads gives the terminal back, and ends",
      .enabled("Only root can set the limit.") { Nobody.canRun })
    func endWithoutThreads() async throws {
      let server = try RedisServer(listen: .tcp)
      defer { server.stop() }
      // Dispatch keeps a thread that has nothing to do for five seconds.
      let outcome = try await Terminal.type(
        [("status", "hello\\n")],
        into: """
          \(Nobody.command.joined(separator: " ")) $RUN --record-for 0 --ttl 3s key -c '
            prlimit --nproc=1 --pid $PPID; exec sleep 7'
          echo status $?; read word; echo got $word
          """, on: server)
      #expect(outcome.output.contains("expires with its ttl"), "\(outcome.output)")
      #expect(outcome.output.contains("status 0"), "\(outcome.output)")
      #expect(outcome.output.contains("got hello"), "\(outcome.output)")
    }

    @Test("A run that has not lent the terminal leaves its modes alone, however its command ends")
    func modesOfAnother() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // Another part of the job has the terminal, and sets it for its own use, before the run and during it.
      let outcome = try await Terminal.type(
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
      let outcome = try await Terminal.type(
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
      let outcome = try await Terminal.type(
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
        $RUN key -c 'echo ready; \(Terminal.untilGo); echo fin\"\"ished'
        echo stopped with $?
        : >$GO; fg >/dev/null
        echo ended with $?
        """
      let outcome = try await Terminal.type([("ready", "\\032")], into: commands, on: server)
      #expect(outcome.output.contains("stopped with \(128 + SIGTSTP)"))
      #expect(outcome.output.contains("finished"))
      #expect(outcome.output.contains("ended with 0"))
      #expect(try server.keys().isEmpty)
    }

    @Test("A run that ends in the background leaves the terminal to its present owner")
    func endInBackground() async throws { try await expectTerminalIsLeft(by: "$RUN") }

    @Test(
      "A run that cannot see other users' processes does not take the terminal from them",
      .enabled("Only root can hide them.") { Container.canRun && Nobody.canRun })
    func endBesideHiddenProcesses() async throws {
      try await expectTerminalIsLeft(
        by: Nobody.command.joined(separator: " ") + " --regid=65534 $RUN",
        // In a /proc of its own, since a remount changes the one that all share; with a terminal of its own, since
        // the groups outside have no numbers there.
        after: """
          [ "$HIDES" ] || HIDES=1 exec \(Container.command.joined(separator: " ")) bash -c \\
            "mount -o remount,hidepid=2 /proc && exec script -qefc \\"exec bash '$0'\\" /dev/null"
          """)
    }

    @Test(
      "A run whose stop it could not see leaves the terminal to another job's group that has ended")
    func endInBackgroundAfterStop() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // A job of a shell has just ended, and the shell is about to take the terminal back.
      let outcome = try await Terminal.type(
        [("ready", "")],
        into: """
          set -m
          $RUN key -c 'echo ready; kill -STOP $PPID; \(Terminal.untilGo)'
          export run=$(jobs -p); bg >/dev/null
          perl -MPOSIX -e '
            $SIG{TTOU} = "IGNORE";
            if (!($job = fork)) { setpgid(0, 0); sleep 100 }
            setpgid($job, $job); tcsetpgrp(0, $job); kill KILL => $job; waitpid $job, 0;
            open(GO, ">", $ENV{GO}); select undef, undef, undef, 0.02 while kill 0, $ENV{run};
            print "the terminal was ", tcgetpgrp(0) == $job ? "left\\n" : "taken\\n";
            tcsetpgrp(0, getpgrp)'
          """, on: server)
      #expect(outcome.output.contains("the terminal was left"), "\(outcome.output)")
    }

    @Test("Ctrl-Z right after fg stops all of a script around a run")
    func stopAfterResumption() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // Another part of the script has asked for the terminal, so that the command does not get it again: Ctrl-Z goes
      // to the script and the run. A shell may have noticed that the script was stopped for that, or not. If it did,
      // it continues the script once the run has stopped: a signal to continue takes back what the run has not seen.
      let commands = """
        set -m
        bash -c '{ until [ -e $GO.ready ]; do sleep 0.02; done; echo asking
            read word </dev/tty; : >$GO.read; echo got $word; } &
          $RUN key -c "echo \\$\\$ \\$PPID >$GO.ids; : >$GO.ready; \(Terminal.untilGo)"; echo script ended'
        read command run <$GO.ids; script=$(jobs -p)
        state() { set -- $(cat /proc/$1/stat); echo $3; }
        until [ -e $GO.read ]; do [ $(state $run) = T ] && [ ! -e $GO.read ] && fg >/dev/null; done
        ( until set -- $(cat /proc/$$/stat); [ $8 = $script ]; do :; done; echo resumed ) &
        fg %1 >/dev/null; echo again with $?
        for n in $(seq 100); do [ $(state $command) = T ] && break; sleep 0.02; done
        echo command is $(state $command)
        : >$GO; fg %1 >/dev/null
        """
      let outcome = try await Terminal.type(
        [("asking", "hello\\n"), ("got hello", "\\032"), ("resumed", "\\032")], into: commands,
        on: server)
      #expect(outcome.output.contains("again with \(128 + SIGTSTP)"), "\(outcome.output)")
      #expect(outcome.output.contains("command is T"), "\(outcome.output)")
      #expect(outcome.output.contains("script ended"), "\(outcome.output)")
    }

    private func expectTerminalIsLeft(by run: String, after preparation: String = "") async throws {
      let server = try RedisServer(listen: .tcp)
      defer { server.stop() }
      let commands = """
        \(preparation)
        set -m
        \(run) key -c 'echo ready; \(Terminal.untilGo)'
        run=$(jobs -p)
        : >$GO; bg >/dev/null
        sh -c "while kill -0 $run; do sleep 0.02; done 2>/dev/null; echo now; read word </dev/tty; echo got \\$word"
        """
      let outcome = try await Terminal.type(
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
      let outcome = try await Terminal.type([("ready", "hello\\n")], into: commands, on: server)
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
      let outcome = try await Terminal.type([("ready", "\\032")], into: commands, on: server)
      #expect(outcome.output.contains("stopped with \(128 + SIGTSTP)"))
      #expect(!outcome.output.contains("finished"))
      #expect(outcome.output.contains("ended with 76"))
    }

    @Test("A run that waits on a terminal names the holder, and its messages are short")
    func progress() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      _ = try RedisClient(server)("SET", "key", "theirs", "PX", "60000")
      let commands = "trap : INT; $RUN -v key -- true; echo; $LOCK run -n key -- true; echo end"
      let outcome = try await Terminal.type([("(3s)", "\\003")], into: commands, on: server)
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
      let outcome = try await Terminal.type(
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
        $RUN key -c 'echo ready; \(Terminal.untilGo); echo go on; exec sleep 100'
        echo stopped with $?
        : >$GO; fg >/dev/null
        echo ended with $?
        """
      let outcome = try await Terminal.type(
        [("ready", "\\032"), ("go on", "\\003")], into: commands, on: server)
      #expect(outcome.output.contains("stopped with \(128 + SIGTSTP)"), "\(outcome.output)")
      #expect(outcome.output.contains("ended with \(128 + SIGINT)"), "\(outcome.output)")
      await until("nothing stays") { try server.keys().isEmpty }
    }

    @Test(
      "In a PID namespace that its job is outside of, a script has the terminal after the run",
      .enabled("Only root can make a namespace.") {
        SystemTool.runs(["unshare", "-pf", "--mount-proc", "true"])
      })
    func inNamespace() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await Terminal.type(
        [("= ready", "hello\\n")],
        into: """
          exec unshare -pf --mount-proc bash -c '
            $RUN key -c "echo = in"; echo = ready; read line; echo "= got $line"'
          """, on: server)
      #expect(outcome.output.contains("= got hello"), "\(outcome.output)")
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
      let outcome = try await Terminal.type(
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
