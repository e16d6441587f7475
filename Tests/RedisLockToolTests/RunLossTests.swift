#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("redis-lock run with a lost lock", .timeLimit(.minutes(5)))
  struct RunLossTests {
    /// A command that does not end when asked to, and records every few milliseconds that it is alive.
    private func stubborn(_ file: String) -> String {
      "trap 'echo asked' TERM; echo ready; while date +%s%N >>'\(file)' || [ -e '\(file)' ]; do sleep 0.01; done"
    }

    private func nanoseconds(_ text: String) throws -> Int64 {
      // The end may have cut off the last line.
      try #require(
        text.split(separator: "\n").compactMap { Int64($0) }.last { $0 > 1_000_000_000_000_000_000 }
      )
    }

    private var now: Int64 { Int64(Date.now.timeIntervalSince1970 * 1e9) }

    @Test(
      "If the server hangs, a stubborn command is ended before another client can get the lock"
    )
    func serverHangs() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let tool = try ToolProcess(
        ["run", "key", "--ttl", "3s", "--extend", "500ms", "-c", stubborn(folder.path("alive"))],
        on: server)
      await tool.waitUntilSaid("ready")
      let other = try ToolProcess(
        ["run", "key", "--ttl", "3s", "--", "date", "+%s%N"], on: server)
      let client = RedisClient(server)
      await until("the other waits") { try client("EXISTS", "redis-lock:queue:{key}").integer == 1 }
      let paused = now
      server.pause()
      defer { server.resume() }
      let outcome = await tool.outcome()
      let ended = now
      server.resume()
      #expect(outcome.status == 76)
      #expect(outcome.output.contains("asked"), "SIGTERM comes first")
      #expect(outcome.errors.contains("the lock was lost"))
      let lastSign = try nanoseconds(folder.read("alive"))
      // After the command, it waits for the answer to its release, for an operation timeout of a second.
      #expect(ended - lastSign < 2_000_000_000)
      // The last extension was confirmed before the server hung, so the lock is valid for less than its ttl.
      #expect(lastSign - paused < 3_000_000_000)
      let next = await other.outcome()
      #expect(next.status == 0)
      #expect(try nanoseconds(next.output) > lastSign)
      try await Task.sleep(for: .milliseconds(50))
      #expect(try nanoseconds(folder.read("alive")) == lastSign, "it is dead")
      #expect(try server.keys().isEmpty)
    }

    @Test("A chain of processes, each of which starts the next and ends, ends with the lock")
    func chain() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let link = folder.path("link")
      _ = try folder.makeFile(
        "link", "trap '' TERM; date +%s%N >>'\(folder.path("alive"))'; setsid sh \"$0\" &")
      let tool = try ToolProcess(
        [
          "run", "key", "--ttl", "3s", "--max-hold", "1500ms", "--grace", "100ms", "-c",
          "trap '' TERM; setsid sh '\(link)' & sleep 100",
        ], on: server)
      await until("it runs") { !folder.read("alive").isEmpty }
      let outcome = await tool.outcome()
      #expect(outcome.status == 76)
      let end = now
      try await Task.sleep(for: .milliseconds(200))
      #expect(try nanoseconds(folder.read("alive")) < end)
    }

    @Test("That the lock cannot be extended is told to the user while it is still held")
    func outageIsTold() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        ["run", "--ttl", "8s", "--extend", "500ms", "key", "-c", "echo ready; exec sleep 100"],
        on: server)
      await tool.waitUntilSaid("ready")
      server.kill()
      await until("it is told") { tool.errors.contains("Cannot extend 1 lock; it expires in ") }
      #expect(!tool.errors.contains("the lock is being lost"))
      #expect(await tool.outcome().status == 76)
    }

    @Test("If the server is gone, the command gets its grace period")
    func serverGone() async throws {
      let server = try RedisServer()
      let tool = try ToolProcess(
        [
          "run", "key", "--ttl", "2s", "--extend", "300ms", "-c",
          "trap 'sleep 0.2; echo tidied up; exit 0' TERM; echo ready; while :; do sleep 0.02; done",
        ], on: server)
      await tool.waitUntilSaid("ready")
      server.stop()
      let outcome = await tool.outcome()
      #expect(outcome.status == 76)
      #expect(outcome.output == "ready\ntidied up\n")
    }

    @Test("If another holder has taken the lock, the command is ended at once")
    func takenAway() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let tool = try ToolProcess(
        ["run", "key", "--ttl", "20s", "--extend", "200ms", "-c", stubborn(folder.path("alive"))],
        on: server)
      await tool.waitUntilSaid("ready")
      _ = try RedisClient(server)("SET", "key", "theirs")
      let outcome = await tool.outcome()
      #expect(outcome.status == 76)
      #expect(
        outcome.output.contains("asked"), "SIGTERM comes first, even if there is little time")
      #expect(outcome.duration < .seconds(10))
      #expect(try server.keys() == ["key"])
    }

    @Test("With --max-hold alone, most of that time is the command's")
    func usualGrace() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await ToolProcess.run(
        ["run", "key", "--max-hold", "5s", "-c", "sleep 1; echo done"], on: server)
      #expect(outcome.status == 0)
      #expect(outcome.output == "done\n")
    }

    @Test("When --max-hold is over, the command is ended and the key freed")
    func heldTooLong() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let tool = try ToolProcess(
        [
          "run", "key", "--ttl", "20s", "--max-hold", "1s", "--grace", "500ms", "-c",
          stubborn(folder.path("alive")),
        ],
        on: server)
      let outcome = await tool.outcome()
      #expect(outcome.status == 76)
      #expect(outcome.output.contains("asked"), "SIGTERM comes first")
      #expect(outcome.duration < .seconds(10))
      #expect(outcome.errors.contains("--max-hold"))
      #expect(try server.keys().isEmpty)
    }

    #if os(Linux)
      @Test("A run that is continued right after its guardian's kill tells the loss, and the kill")
      func killedWhileStopped() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let tool = try ToolProcess(
          ["run", "key", "--ttl", "2s", "--", "sh", "-c", "echo $$; exec sleep 100"], on: server)
        await until("it runs") { tool.output.hasSuffix("\n") }
        let child = try #require(pid_t(tool.output.trimmingCharacters(in: .whitespacesAndNewlines)))
        tool.signal(SIGSTOP)
        // The lock lasts for a moment longer.
        await until("the command is dead") { isZombie(child) }
        tool.signal(SIGCONT)
        let outcome = await tool.outcome()
        #expect(outcome.status == 76)
        #expect(outcome.errors.contains("lock"), "\(outcome.errors)")
        #expect(
          outcome.errors.contains("killed process \(child) with SIGKILL"), "\(outcome.errors)")
      }
    #endif

    @Test("If the lock was lost while redis-lock was stopped, the command is ended when it resumes")
    func stopped() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let tool = try ToolProcess(
        ["run", "key", "--ttl", "1s", "-c", stubborn(folder.path("alive"))], on: server)
      await tool.waitUntilSaid("ready")
      tool.signal(SIGSTOP)
      await until("the key has expired") { try server.keys().isEmpty }
      tool.signal(SIGCONT)
      let outcome = await tool.outcome()
      #expect(outcome.status == 76)
      let lastSign = folder.read("alive")
      try await Task.sleep(for: .milliseconds(50))
      #expect(folder.read("alive") == lastSign, "it is dead")
    }

    @Test("A lost lock also ends the processes that the command has started")
    func leftovers() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let tool = try ToolProcess(
        [
          "run", "key", "--ttl", "20s", "--extend", "200ms", "-c",
          "sh -c \"\(stubborn(folder.path("alive")))\" & trap 'exit 0' TERM; while :; do sleep 0.02; done",
        ], on: server)
      await tool.waitUntilSaid("ready")
      _ = try RedisClient(server)("DEL", "key")
      #expect(await tool.outcome().status == 76)
      let lastSign = folder.read("alive")
      try await Task.sleep(for: .milliseconds(100))
      #expect(folder.read("alive") == lastSign, "it is dead")
    }
  }
#endif
