#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("redis-lock run among processes that are not its command's", .timeLimit(.minutes(2)))
  struct NeighbouringProcessTests: SignsOfLife {
    /// Starts processes whose environments take long to read, so that a guardian takes long to find what it has to end.
    private static let crowd = """
      filler=$(head -c 20000 /dev/zero | tr '\\0' x); for i in $(seq 600); do F="$filler" sleep 60 & done
      """

    @Test("If a group is killed again and again, a guardian still ends what has left the group")
    func killedRepeatedly() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      for round in 1...4 {
        let folder = try TemporaryFolder()
        // The group has another process, so that it is still there when it is killed again.
        let script = """
          \(Self.crowd); set -m
          { "$0" run \(round) -- sh -c 'timeout 100 sh -c "$0"; :' "$1" & sleep 100; } & until [ -s "$2" ]; do sleep 0.02; done
          for i in $(seq 60); do kill -KILL -- -$! 2>/dev/null; sleep 0.001; done
          set +m; echo over; trap 'kill $(jobs -p)' EXIT; while :; do sleep 0.1; done
          """
        let alive = folder.path("alive")
        let shell = try ToolProcess(
          [stubborn(alive), alive], on: server, through: ["/bin/bash", "-c", script])
        await shell.waitUntilSaid("over")
        try await expectEnd(folder, of: now)
        shell.signal(SIGTERM)
      }
    }

    @Test(
      "If a run between two others is killed, the inner one's guardian ends what that has started")
    func killedBetweenOthers() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let crowd = try ToolProcess(
        [],
        through: [
          "/bin/bash", "-c", "\(Self.crowd); trap 'kill $(jobs -p)' EXIT; echo ready; wait",
        ])
      await crowd.waitUntilSaid("ready")
      let inner = [ToolProcess.path, "run"]
      let outer = try ToolProcess(
        ["run", "1", "--"] + inner + ["2", "--"] + inner + ["3", "--"]
          + [
            "sh", "-c", "setsid --fork sh -c \"$0\"; sleep 100; :", stubborn(folder.path("alive")),
          ], on: server)
      await until("it runs") { !folder.read("alive").isEmpty }
      kill(try #require(outer.child(named: "redis-lock")), SIGKILL)
      try await expectEnd(folder, of: now)
      #expect(await outer.outcome().status == 128 + SIGKILL)
      crowd.signal(SIGTERM)
    }

    @Test(
      "A guardian leaves alone what has got the number of the command meanwhile",
      .enabled("Only root can choose the number of a process.") {
        SystemTool.runs([
          "unshare", "-pf", "--mount-proc", "test", "-w", "/proc/sys/kernel/ns_last_pid",
        ])
      })
    func reusedNumber() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let script = """
        named() { for p in /proc/[0-9]*; do [ "$(cat $p/comm)" = $1 ] && echo ${p#/proc/}; done 2>/dev/null; }
        stop() { kill -STOP $1; until grep -q '^State:.T' /proc/$1/status; do :; done; }
        "$0" run --ttl 3s key -- sleep 60 & tool=$!
        until command=$(named sleep) && [ "$command" ]; do [ -e /proc/$tool ] || exit; done
        guardian=$(named lock-guardian)
        # Stopped, the tool does not continue the guardian. So that looks when the lock ends, after the number is reused.
        stop $tool; stop $guardian; kill -KILL $tool
        while [ -e /proc/$command ]; do :; done
        echo $((command - 1)) >/proc/sys/kernel/ns_last_pid
        sleep 60 & other=$!
        while [ -e /proc/$guardian ]; do read -t 0.01 <> <(:); done
        [ $other = $command ] && echo same; [ -e /proc/$other ] && echo alive
        """
      let outcome = try await ToolProcess(
        [], on: server,
        through: ["/usr/bin/env", "unshare", "-pf", "--mount-proc", "bash", "-c", script]
      ).outcome()
      #expect(outcome.output == "same\nalive\n", "\(outcome)")
    }

    @Test(
      "If the tool is stopped, its command ends with its lock also where /proc hides that",
      .enabled("Only root can mount a file system, and become another user.") {
        Nobody.canRun
          && SystemTool.runs([
            "unshare", "-m", "--propagation", "private", "mount", "-t", "proc", "-o", "hidepid=2",
            "proc", "/proc",
          ])
      })
    func hiddenCommand() async throws {
      let server = try RedisServer(listen: .tcp)
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let (shell, alive, second) = (folder.path("sh"), folder.path("alive"), folder.path("second"))
      // A program that its user cannot read may not be looked at either, except by the group of root.
      let become = (Nobody.command + ["--regid=65534"]).joined(separator: " ")
      let outcome = try await Terminal.type(
        [("= over", "")],
        into: """
          cp /bin/sh '\(shell)'; chmod 711 '\(shell)'; : >'\(alive)'; chmod 666 '\(alive)'
          set -m
          unshare -m --propagation private sh -c 'mount -t proc -o hidepid=2 proc /proc
            exec \(become) $RUN --ttl 1s key -- "$0" -c "$1"' \
            '\(shell)' "while :; do date +%s%N >>'\(alive)'; sleep 0.01; done" </dev/null &
          job=$(jobs -p)
          until [ -s '\(alive)' ]; do sleep 0.02; done
          kill -STOP $job
          $RUN key -- sh -c "date +%s%N >'\(second)'; sleep 0.3"
          kill -KILL -- -$job; echo = over
          """, on: server)
      let last = Int(folder.read("alive").split(separator: "\n").last ?? "")
      let next = Int(folder.read("second").split(separator: "\n").last ?? "")
      let (lastBeat, begin) = (try #require(last, "\(outcome)"), try #require(next, "\(outcome)"))
      #expect(lastBeat < begin)
    }

    @Test("If a tool is killed, what a former run within its command has left behind ends, too")
    func leftByInnerRun() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let script = """
        "$0" run inner -- setsid --fork sh -c "$1"; echo over; exec sleep 100
        """
      let tool = try ToolProcess(
        [
          "run", "outer", "--", "sh", "-c", script, ToolProcess.path,
          stubborn(folder.path("alive")),
        ],
        on: server)
      await tool.waitUntilSaid("over")
      await until("it runs") { !folder.read("alive").isEmpty }
      tool.signal(SIGKILL)
      _ = await tool.outcome()
      try await expectEnd(folder, of: now)
    }

    @Test("A process of the command that joins the group of the tool ends with the lock")
    func joinsToolsGroup() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let script = """
        exec perl -e 'if (!fork) { setpgrp(0, getpgrp($ARGV[0])); exec "sh", "-c", $ARGV[1] } sleep 100' $PPID "$1"
        """
      let tool = try ToolProcess(
        ["run", "key", "--", "sh", "-c", script, "sh", stubborn(folder.path("alive"))], on: server)
      await until("it runs") { !folder.read("alive").isEmpty }
      _ = try RedisClient(server)("DEL", "key")
      #expect(await tool.outcome().status == 76)
      try await expectEnd(folder, of: now)
    }

    @Test("All processes that a shell started before it became the tool are left alone")
    func manyFormerChildren() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // The helpers close the descriptor by which Foundation would wait for them, too.
      let script = """
        set -m; for f in /proc/self/fd/*; do [ ${f##*/} -lt 3 ] || [ ${f##*/} = 255 ] || eval "exec ${f##*/}>&-"; done
        for i in $(seq 300); do sleep 60 >/dev/null 2>&1 & done; jobs -p
        exec "$0" run --ttl 3s --max-hold 500ms key -- sleep 100
        """
      let tool = try ToolProcess([], on: server, through: ["/bin/bash", "-c", script])
      let outcome = await tool.outcome()
      #expect(outcome.status == 76)
      let helpers = outcome.output.split(separator: "\n").compactMap { pid_t($0) }
      #expect(helpers.count == 300)
      #expect(helpers.count { kill($0, SIGKILL) == 0 } == 300)
    }
  }
#endif
