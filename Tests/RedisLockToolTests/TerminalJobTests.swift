#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  /// In a pipeline, the command stays in the group of its job, so that all parts of it share the terminal.
  @Suite("redis-lock run in a pipeline on a terminal", .timeLimit(.minutes(5)))
  struct TerminalJobTests: SignsOfLife {
    /// What the terminal shows of a command that is sent a signal: `= first` for each that it gets.
    ///
    /// The run passes signals on in their order, so that `= second` comes after all of them.
    private func show(
      _ name: String, to run: String = "$RUN key", sent kill: String
    ) async throws -> String {
      let server = try RedisServer()
      defer { server.stop() }
      // The other part of the job is not to end by the signal.
      return try await Terminal.type(
        [("= ready", "")],
        into: """
          set -m
          \(run) -- sh -c 'trap "echo = first" \(name); trap "echo = second" USR2; echo = ready; \(Terminal.untilGo)' |
            sh -c 'trap "" \(name); exec cat' &
          until grep -q '^= ready' "$seen"; do sleep 0.02; done
          for n in \(kill.hasPrefix("burst") ? "1 2 3 4 5 6 7 8" : "1"); do
            \(kill.replacing("burst ", with: ""))
            until [ $(grep -c '^= first' "$seen") -ge $n ]; do sleep 0.02; done
            kill -USR2 $(jobs -p)
            until [ $(grep -c '^= second' "$seen") -ge $n ]; do sleep 0.02; done
          done
          : >$GO; wait
          """, on: server
      ).output
    }

    private func count(in output: some StringProtocol) -> Int {
      output.components(separatedBy: "= first\r\n").count - 1
    }

    @Test(
      "A signal to the job reaches the command once, and so does one to the run",
      arguments: ["USR1", "HUP", "INT", "TERM"], [true, false])
    func signal(name: String, isToJob: Bool) async throws {
      let output = try await show(name, sent: "kill -\(name) -- \(isToJob ? "-" : "")$(jobs -p)")
      #expect(count(in: output) == 1, "\(output)")
    }

    @Test(
      "A signal to all processes that look like the run reaches the command once",
      arguments: ["USR1", "TERM"], ["-n", "-rn"])
    func signalByPattern(name: String, order: String) async throws {
      let key = UUID().uuidString
      // As pkill -f and start-stop-daemon --exec find them.
      let output = try await show(
        name, to: "$RUN \(key)",
        sent: """
          kill -\(name) $(for p in /proc/[0-9]*; do
            [ $p/exe -ef "$LOCK" ] && grep -q \(key) $p/cmdline && echo ${p#/proc/}; done | sort \(order))
          """)
      #expect(count(in: output) == 1, "\(output)")
    }

    @Test(
      "A signal to the outermost of nested runs reaches the command once",
      arguments: ["USR1", "TERM"])
    func signalToNested(name: String) async throws {
      let output = try await show(
        name, to: "$RUN outer -- $RUN middle -- $RUN inner", sent: "kill -\(name) $(jobs -p)")
      #expect(count(in: output) == 1, "\(output)")
    }

    @Test(
      "Several signals to the job reach the command as often at most",
      arguments: [
        (2, "kill -USR1 -- -$job; kill -USR1 -- -$job"),
        (10, "for i in 0 1 2 3 4 5 6 7 8 9; do kill -USR1 -- -$job; sleep 0.001; done"),
      ])
    func burst(most: Int, kill: String) async throws {
      let output = try await show("USR1", sent: "burst job=$(jobs -p); \(kill)")
      let counts = output.components(separatedBy: "= second\r\n").map { count(in: $0) }
      #expect(counts.count == 9 && counts.allSatisfy { $0 <= most }, "\(counts)")
    }

    @Test("A signal to the run reaches what the command has started, too")
    func signalToChildren() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let alive = folder.path("alive")
      _ = try folder.makeFile("work", "while date +%s%N >>'\(alive)'; do sleep 0.01; done")
      let outcome = try await Terminal.type(
        [("ended", "")],
        into: """
          set -m
          $RUN key -- sh -c 'sh "$0"; true' '\(folder.path("work"))' | cat &
          until [ -s '\(alive)' ]; do sleep 0.02; done
          kill -TERM $(jobs -p); wait; echo ended
          """, on: server)
      #expect(outcome.output.contains("ended"), "\(outcome.output)")
      try await expectEnd(folder, of: now)
    }

    @Test(
      "All that the command has started ends with its lock, or if the run is killed",
      arguments: [
        // In the job's group, with another environment, as by sudo, and in a session of its own.
        "sh \"$0\"; true", "sh -c \"env -i PATH=$PATH sh $0; true\"; true",
        "setsid --wait sh \"$0\"; true",
      ], ["$LOCK release --force key", "kill -KILL $(jobs -p)"])
    func ends(start: String, by end: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let alive = folder.path("alive")
      _ = try folder.makeFile("work", stubborn(alive))
      let outcome = try await Terminal.type(
        [("ended", "")],
        into: """
          set -m
          $RUN key -- sh -c '\(start)' '\(folder.path("work"))' | cat &
          until [ -s '\(alive)' ]; do sleep 0.02; done
          \(end) >/dev/null; wait; echo ended
          """, on: server)
      #expect(outcome.output.contains("ended"), "\(outcome.output)")
      try await expectEnd(folder, of: now)
    }

    // Their runtimes would have to be loaded first.
    #if !THREAD_SANITIZER && !ADDRESS_SANITIZER
      /// A library that stops its process just before that forks for the fourth time.
      private static let stopper = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <signal.h>
        #include <unistd.h>
        pid_t fork(void) {
          static int count;
          if (++count == 4) kill(getpid(), SIGSTOP);
          return ((pid_t (*)(void))dlsym(RTLD_NEXT, "fork"))();
        }
        """

      @Test(
        "A run that is stopped with its lock, and continued without it, does not start its command",
        .enabled("A compiler is needed.") { SystemTool.runs(["clang", "--version"]) })
      func stoppedBeforeStart() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let folder = try TemporaryFolder()
        _ = try folder.makeFile("stopper.c", Self.stopper)
        let (source, library) = (folder.path("stopper.c"), folder.path("stopper.so"))
        try #require(SystemTool.runs(["clang", "-shared", "-fPIC", "-o", library, source]))
        let outcome = try await Terminal.type(
          [("= second", "")],
          into: """
            set -m
            LD_PRELOAD='\(library)' $RUN --ttl 1s key -- sh -c 'echo = begun' | cat &
            job=$(jobs -p)
            until set -- $(cat /proc/$job/stat); [ $3 = T ]; do sleep 0.01; done
            $RUN key -- sh -c "kill -CONT $job; while [ -e /proc/$job ]; do sleep 0.01; done; echo = second"
            wait
            """, on: server)
        #expect(outcome.output.contains("= second"), "\(outcome.output)")
        #expect(outcome.output.contains("the lock was lost"), "\(outcome.output)")
        #expect(!outcome.output.contains("= begun"), "\(outcome.output)")
      }
    #endif

    @Test("A job that was stopped with SIGSTOP goes on with fg, and does not stop again")
    func stoppedUnseen() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await Terminal.type(
        [("= ready", "")],
        into: """
          set -m
          $RUN key -- sh -c 'echo = ready; \(Terminal.untilGo); echo = done' | cat &
          job=$(jobs -p)
          until grep -q '^= ready' "$seen"; do sleep 0.02; done
          kill -STOP -- -$job
          # The shell learns of a stop when all threads of all parts have stopped.
          until [ "$(jobs -s)" ]; do sleep 0.01; done
          ( while set -- $(cat /proc/$$/stat) && [ $8 != $job ]; do sleep 0.01; done; sleep 0.2; : >$GO ) &
          fg %1 >/dev/null; echo = $?
          """, on: server)
      #expect(outcome.output.contains("= done"), "\(outcome.output)")
      #expect(outcome.output.contains("= 0"), "\(outcome.output)")
    }

    @Test(
      "A job that is stopped and continued at once goes on, and one that is continued and stopped at once is stopped",
      arguments: ["TSTP CONT", "CONT TSTP"])
    func stopAndContinue(signals: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let stops = signals.hasSuffix("TSTP")
      // A command that goes on answers each time; one that is stopped does so only after SIGCONT.
      let outcome = try await Terminal.type(
        [("= ready", "")],
        into: """
          set -m
          $RUN key -- sh -c 'n=0; answer() { n=$((n + 1)); echo = $n; }; trap answer USR2; echo = ready $$; \(Terminal.untilGo)' | cat &
          # With job control, the shell leaves a loop when the job is stopped.
          job=$(jobs -p); set +m
          answered() { for i in {1..500}; do grep -q "^= $1[^0-9]*$" "$seen" && return; sleep 0.01; done; return 1; }
          is_stopped() { set -- $(cat /proc/$1/stat); [ $3 = T ]; }
          stops() { for i in {1..500}; do is_stopped $1 && return; sleep 0.01; done; return 1; }
          until grep -q '^= ready' "$seen"; do sleep 0.02; done
          command=$(grep -ao '^= ready [0-9]*' "$seen"); command=${command##* }
          for n in {1..20}; do
            if \(stops); then kill -TSTP -- -$job; stops $job && stops $command || break; fi
            for signal in \(signals); do kill -$signal -- -$job; done
            if \(stops); then
              stops $job && stops $command || { echo = goes on; break; }
              kill -CONT -- -$job
            fi
            kill -USR2 $command
            answered $n || { echo = stopped; break; }
          done
          : >$GO; kill -CONT -- -$job; wait; echo = end
          """, on: server)
      #expect(outcome.output.contains("= 20\r\n"), "\(outcome.output)")
      #expect(outcome.output.contains("= end\r\n"), "\(outcome.output)")
    }

    @Test("A witness that something has stopped goes on, and does not outlive its run")
    func stoppedWitness() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await Terminal.type(
        [("= ready", "")],
        into: """
          set -m
          $RUN key -- sh -c 'echo = ready; \(Terminal.untilGo)' | cat &
          until grep -q '^= ready' "$seen"; do sleep 0.02; done
          witnesses=$(for p in /proc/[0-9]*; do
            set -- $(cat $p/stat 2>/dev/null); [ "$2" = "(lock-witness)" ] && [ $4 = $(jobs -p) ] && echo $1; done)
          kill -STOP $witnesses || echo = none
          : >$GO; wait; for p in $witnesses; do [ -e /proc/$p ] && echo = left; done; echo = end
          """, on: server)
      #expect(outcome.output.contains("= end\r\n"), "\(outcome.output)")
      #expect(
        !outcome.output.contains("= left") && !outcome.output.contains("= none"),
        "\(outcome.output)")
    }

    @Test(
      "A run in a pipeline leaves nothing to reap",
      .enabled("Only root can make a container.") { Container.canRun })
    func zombies() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // The first process of the container reaps nothing.
      let outcome = try await Terminal.type(
        [("= left", "")],
        into: """
          mkfifo "$GO"
          exec \(Container.command.joined(separator: " ")) bash -c '
            { $RUN key -- true </dev/null
              while grep -qs ^lock- /proc/[0-9]*/comm && ! grep -qs "^State:.Z" /proc/[0-9]*/status; do :; done
              echo "= left" $(grep -hs ^lock- /proc/[0-9]*/comm) "="; echo >"$GO"; } &
            exec head -n 1 "$GO"'
          """, on: server)
      #expect(outcome.output.contains("= left =\r\n"), "\(outcome.output)")
    }

    @Test("A script goes on at the terminal if a run in its pipeline has lost its lock")
    func lost() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await Terminal.type(
        [("status", "hello\\n")],
        into: """
          $RUN --max-hold 500ms key -- sh -c 'read word </dev/tty; :' | cat
          echo status ${PIPESTATUS[0]}; read word; echo got $word
          """, on: server)
      #expect(outcome.output.contains("status 76"), "\(outcome.output)")
      #expect(outcome.output.contains("got hello"), "\(outcome.output)")
    }
  }
#endif
