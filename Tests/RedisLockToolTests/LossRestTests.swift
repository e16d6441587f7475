#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  /// Tests one rule: what ends, ends whole, by SIGTERM first, and by SIGKILL after the grace.
  @Suite("What a command has started when redis-lock run loses its lock", .timeLimit(.minutes(2)))
  struct LossRestTests: SignsOfLife {
    @Test("What the command has started has its grace, and the lock, also if the command has ended")
    func grace() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      _ = try folder.makeFile(
        "worker",
        """
        trap 'sleep 0.2; "\(ToolProcess.path)" status key >/dev/null && echo tidied up $1; exit' TERM
        echo ready $1; while :; do sleep 0.02; done
        """)
      let worker = "sh '\(folder.path("worker"))'"
      // None of the shells handles SIGTERM: they end at once, the command among them.
      let tool = try ToolProcess(
        [
          "run", "--max-hold", "6s", "--grace", "4s", "key", "-c",
          "\(worker) 1 & (\(worker) 2; :) & setsid \(worker) 3 & wait",
        ], on: server)
      let outcome = await tool.outcome()
      #expect(outcome.status == 76)
      for number in 1...3 {
        #expect(outcome.output.contains("ready \(number)\n"), "\(outcome)")
        #expect(outcome.output.contains("tidied up \(number)\n"), "\(outcome)")
      }
      #expect(!outcome.errors.contains("SIGKILL"), "\(outcome.errors)")
      #expect(try server.keys().isEmpty)
    }

    @Test("What the command has started is killed after the grace, and each process is told")
    func stubborn() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let alive = ["alive-1", "alive-2"].map(folder.path)
      _ = try folder.makeFile(
        "worker",
        """
        trap 'date +%s%N >"$0.asked"; echo worker $$' TERM
        while date +%s%N >>"$1" || [ -e "$1" ]; do sleep 0.01; done
        """)
      let worker = "sh '\(folder.path("worker"))'"
      let tool = try ToolProcess(
        [
          "run", "--max-hold", "2500ms", "--grace", "1s", "key", "-c",
          "echo command $$; \(worker) '\(alive[0])' & setsid \(worker) '\(alive[1])' & wait",
        ], on: server)
      let outcome = await tool.outcome()
      #expect(outcome.status == 76)
      let lines = outcome.output.split(separator: "\n").map { $0.split(separator: " ") }
      let workers = lines.filter { $0.first == "worker" }.compactMap(\.last)
      #expect(workers.count == 2, "\(outcome)")
      for id in workers {
        #expect(outcome.errors.contains("killed process \(id) with SIGKILL"), "\(outcome.errors)")
      }
      let command = try #require(lines.first { $0.first == "command" }?.last)
      #expect(!outcome.errors.contains("process \(command) "), "it has ended by SIGTERM")
      let asked = try signs(folder.read("worker.asked")).last
      for name in ["alive-1", "alive-2"] {
        let (first, last) = try signs(folder.read(name))
        #expect(last - asked > 200_000_000, "it had no grace")
        #expect(last - first < 2_500_000_000, "it outlived the lock")
      }
      #expect(try server.keys().isEmpty)
    }

    @Test("A second signal reaches what the command has left behind, and ends it before its grace")
    func secondSignal() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        [
          "run", "--max-hold", "7500ms", "--grace", "6s", "key", "-c",
          "echo $$; \(Self.stoppable); :",
        ], on: server)
      await tool.waitUntilSaid("first")
      let command = try #require(tool.output.split(separator: "\n").first.flatMap { pid_t($0) })
      await until("the command has ended") { isZombie(command) }
      tool.signal(SIGTERM)
      let outcome = await tool.outcome()
      #expect(outcome.status == 76 && outcome.output.contains("second"), "\(outcome)")
      #expect(!outcome.errors.contains("SIGKILL"), "\(outcome.errors)")
    }

    @Test("Ctrl-C reaches what the command has left behind, and ends it before its grace")
    func interrupt() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await Terminal.type(
        [("first", "\\003")],
        into: """
          $RUN --max-hold 7500ms --grace 6s key -c "$(cat <<'END'
          \(Self.stoppable); :
          END
          )"
          """,
        on: server)
      #expect(outcome.output.contains("second"), "\(outcome.output)")
      #expect(!outcome.output.contains("SIGKILL"), "\(outcome.output)")
    }

    @Test(
      "Ctrl-Z does not keep what the command has left behind from ending within its grace",
      arguments: [
        ("", ""), ("", " | cat"),
        // Only by its environment is the worker known there, and something else is left as well.
        ("exec > >(cat); exec ", ""),
      ])
    func stop(before: String, after: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      // It ends when the terminal has shown that the key was typed, and its group signalled.
      _ = try folder.makeFile(
        "worker",
        """
        open T, ">", "/dev/tty"; select T; $| = 1;
        $SIG{TERM} = sub {
          print "first\\n";
          for (;;) { open F, "<", $ENV{seen}; local $/; last if <F> =~ /\\^Z/; select undef, undef, undef, 0.02 }
          print "second\\n"; exit;
        };
        sleep 1 while 1;
        """)
      let beside = before.isEmpty ? "" : #"setsid sh -c "trap \"\" TERM; sleep 10" &"#
      let outcome = try await Terminal.type(
        [("first", "\\032")],
        into: """
          set -m
          ( \(before) $RUN --max-hold 7500ms --grace 6s key \
            -c '\(beside) perl \(folder.path("worker")); :' )\(after)
          fg >/dev/null
          """,
        on: server)
      #expect(outcome.output.contains("second"), "\(outcome.output)")
      #expect(!before.isEmpty || !outcome.output.contains("SIGKILL"), "\(outcome.output)")
    }

    @Test("Ctrl-Z does not keep what is left behind without its first thread from its grace")
    func stopWithoutFirstThread() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // It writes a line every 10 ms.
      let outcome = try await Terminal.type(
        [("= asked", "\\032")],
        into: """
          set -m; alive=$GO.alive
          ( until grep -q '^= asked' "$seen" && grep -q '\\^Z' "$seen"; do sleep 0.02; done
            wc -c <"$alive" >"$alive.then" ) &
          $RUN --ttl 20s --max-hold 8s --grace 5s key -- sh -c '
            (trap "" TERM; exec "$@") & trap "echo = asked; exit" TERM; while :; do sleep 0.02; done
            ' sh '\(ToolProcess.lockTaker)' thread "$alive"
          fg %2 >/dev/null; wait
          [ $(wc -c <"$alive") -gt $(($(cat "$alive.then") + 1000)) ] && echo = goes on
          """, on: server)
      #expect(outcome.output.contains("= goes on"), "\(outcome.output)")
    }

    /// A child of a shell that ends by the second of its signals.
    private static let stoppable = """
      sh -c 'trap "echo first; trap \\"echo second; exit\\" TERM INT" TERM INT; while :; do sleep 0.02; done'
      """

    @Test("What a command leaves behind goes on if the command ends by itself")
    func leftBehind() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // What is left behind closes the descriptor by which Foundation would wait for it, too.
      let script = """
        (for f in /proc/self/fd/*; do [ ${f##*/} -lt 3 ] || eval "exec ${f##*/}>&-"; done
        exec sleep 100) >/dev/null 2>&1 & echo $!
        """
      let tool = try ToolProcess(["run", "key", "--", "/bin/bash", "-c", script], on: server)
      let outcome = await tool.outcome()
      #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome)")
      let id = outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)
      #expect(kill(try #require(pid_t(id)), SIGKILL) == 0, "it runs")
    }

    @Test("A guardian that is killed while the rest uses its grace is replaced, and ends the rest")
    func guardianKilled() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let tool = try ToolProcess(
        [
          "run", "--max-hold", "4s", "--grace", "3s", "key", "-c",
          "echo $$; sh -c \"\(stubborn(folder.path("alive")))\"; :",
        ], on: server)
      await until("it runs") { !folder.read("alive").isEmpty }
      let command = try #require(tool.output.split(separator: "\n").first.flatMap { pid_t($0) })
      await until("the command has ended") { isZombie(command) }
      let guardian = try #require(tool.guardian)
      kill(guardian, SIGKILL)
      await until("there is another") { tool.guardian.map { $0 != guardian } ?? false }
      tool.signal(SIGSTOP)
      await until("the rest does not live on", within: .seconds(30)) {
        try now - signs(folder.read("alive")).last > 1_000_000_000
      }
      let (first, last) = try signs(folder.read("alive"))
      #expect(last - first < 4_000_000_000, "it outlived the lock")
      tool.signal(SIGCONT)
      #expect(await tool.outcome().status == 76)
    }
  }
#endif
