#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  /// The run ends and stops like its command, also where the terminal signals only one of them.
  @Suite("Signals of the terminal to redis-lock run", .timeLimit(.minutes(5)))
  struct TerminalSignalTests {
    @Test("A script around a run ends with it when the terminal hangs up")
    func hangUp() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let (script, after) = (folder.path("script"), folder.path("after"))
      // The leader of the session has started the script, as the shell of ssh does; the terminal ends with script(1).
      _ = try await Terminal.type(
        [("= ready", "")],
        into: """
          sh -c 'echo $$ >\(script); $RUN key -- sh -c "echo = ready; : >$GO; exec sleep 100"; : >\(after)' </dev/tty &
          \(Terminal.untilGo)
          set -- $(cat /proc/$$/stat); set -- $(cat /proc/$6/stat); kill -KILL $4; wait
          """, on: server)
      let process = folder.read("script").filter(\.isNumber)
      await until("the script has ended") {
        (try? String(contentsOfFile: "/proc/\(process)/cmdline", encoding: .utf8))?.isEmpty != false
      }
      #expect(!FileManager.default.fileExists(atPath: after))
      await until("nothing stays") { try server.keys().isEmpty }
    }

    @Test(
      "The keys of the terminal reach a command that makes a group of its own",
      arguments: ["\\003", "\\034"], ["", " </dev/null"])
    func ownGroup(key: String, input: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await Terminal.type(
        [("= ready", key)],
        into: "$RUN key -- timeout 100 sh -c 'echo = ready; exec sleep 100'\(input); exit 7",
        on: server)
      #expect(outcome.status == (key == "\\003" ? 128 + SIGINT : 7), "\(outcome.output)")
      #expect(try server.keys().isEmpty)
    }

    @Test(
      "Ctrl-Z stops a command that makes a group of its own, and fg continues it",
      arguments: ["", " </dev/null"])
    func ownGroupStopped(input: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await Terminal.type(
        [("= ready", "\\032")],
        into: """
          set -m
          $RUN key -- timeout 100 sh -c 'echo = ready; \(Terminal.untilGo); echo = done'\(input)
          echo = $?; : >$GO; fg >/dev/null; echo = $?
          """, on: server)
      #expect(outcome.output.contains("= \(128 + SIGTSTP)\r\n= done\r\n= 0"), "\(outcome.output)")
    }

    @Test(
      "A command that waits for input from the terminal ends when its run is told to, whatever its input is",
      arguments: ["TERM", "HUP"], [" </dev/null", " | cat"])
    func endsWhileReading(name: String, input: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await Terminal.type(
        [("= ready", "")],
        into: """
          set -m; set -o pipefail
          ( until grep -q '^= ready' "$seen"; do sleep 0.02; done; kill -\(name) $(cat $GO.id) ) &
          $RUN key -- sh -c 'echo $PPID >$GO.id; echo = ready >/dev/tty; read word </dev/tty'\(input)
          echo = $?
          """, on: server)
      #expect(
        outcome.output.contains("= \(128 + (name == "HUP" ? SIGHUP : SIGTERM))"),
        "\(outcome.output)")
      #expect(try server.keys().isEmpty)
    }

    @Test("Ctrl-Z stops a command whose first thread has ended, and its run")
    func firstThreadEnded() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await Terminal.type(
        [("= ready", "\\032")],
        into: """
          set -m; alive=$GO.alive
          ( until [ -s "$alive" ]; do sleep 0.02; done; echo = ready ) &
          $RUN key -- '\(ToolProcess.lockTaker)' thread "$alive"
          echo = $?; kill -KILL %+; wait
          """, on: server)
      #expect(outcome.output.contains("= \(128 + SIGTSTP)"), "\(outcome.output)")
    }

    @Test(
      "A command that was stopped with SIGSTOP stays so if no shell can stop its job",
      arguments: ["/dev/tty", "/dev/null"])
    func stoppedWithoutShell(input: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // The first job of the session has no shell around it.
      let outcome = try await Terminal.type(
        [("= ready", "")],
        into: """
          $RUN key -- sh -c 'echo $$ >$GO.id; echo = ready; \(Terminal.untilGo); echo = done' <\(input) &
          until grep -q '^= ready' "$seen"; do sleep 0.02; done
          command=$(cat $GO.id)
          kill -STOP $command
          until set -- $(cat /proc/$command/stat); [ $3 = T ]; do :; done
          for n in $(seq 100); do
            sleep 0.02; set -- $(cat /proc/$command/stat); [ $3 = T ] || echo = goes on
          done
          : >$GO; kill -CONT $command; wait; echo = end
          """, on: server)
      #expect(!outcome.output.contains("= goes on"), "\(outcome.output)")
      #expect(outcome.output.contains("= done"), "\(outcome.output)")
    }
  }
#endif
