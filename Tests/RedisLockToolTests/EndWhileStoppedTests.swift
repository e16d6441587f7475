#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("A command that ends by itself while redis-lock run is stopped", .timeLimit(.minutes(2)))
  struct EndWhileStoppedTests {
    /// Starts a command, stops the tool, and lets the command end by itself.
    private func stopAndEnd(
      _ options: [String], by ending: String, on server: RedisServer
    ) async throws -> (tool: ToolProcess, stopped: ContinuousClock.Instant) {
      let folder = try TemporaryFolder()
      let (go, command) = (folder.path("go"), folder.path("command"))
      let script = "echo $$ >\(command); until [ -e \(go) ]; do sleep 0.01; done; \(ending)"
      let tool = try ToolProcess(["run"] + options + ["key", "-c", script], on: server)
      await until("it runs") { folder.read("command").hasSuffix("\n") }
      let process = try #require(pid_t(folder.read("command").dropLast()))
      tool.signal(SIGSTOP)
      let stopped = ContinuousClock.now
      _ = try folder.makeFile("go", "")
      // A zombie: its parent is stopped.
      await until("it has ended") {
        let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        return status?.contains("State:\tZ") != false
      }
      return (tool, stopped)
    }

    @Test(
      "A command that has ended in time has not lost its lock, though the tool is late to note it")
    func inTime() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      for _ in 0..<3 {
        let (tool, stopped) = try await stopAndEnd(
          ["--ttl", "4s", "--extend", "300ms", "--grace", "1800ms"], by: "exit 0", on: server)
        // A command that ran would be asked to end now.
        try await Task.sleep(until: stopped + .milliseconds(2400))
        tool.signal(SIGCONT)
        let duration = ContinuousClock.now - stopped
        let outcome = await tool.outcome()
        guard duration < .seconds(3) else { continue }
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(!outcome.errors.contains("is being lost"), "\(outcome.errors)")
      }
    }

    @Test(
      "A command that a signal has ended before the guardian came is not said to have been ended by it",
      arguments: [SIGKILL, SIGTERM])
    func bySignal(signal: Int32) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let (tool, _) = try await stopAndEnd(
        ["--ttl", "1500ms"], by: "kill -\(signal) $$", on: server)
      await until("the lock ends") { try server.keys().isEmpty }
      tool.signal(SIGCONT)
      let outcome = await tool.outcome()
      #expect(outcome.errors.contains("the lock ran out while"), "\(outcome.errors)")
      #expect(!outcome.errors.contains("ended the command"), "\(outcome.errors)")
    }

    @Test("A command whose first thread has ended still runs, and ends with its lock")
    func firstThread() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      let tool = try ToolProcess(
        [
          "run", "--ttl", "1500ms", "key", "--", ToolProcess.lockTaker, "thread",
          folder.path("alive"),
        ], on: server)
      await until("it runs") { !folder.read("alive").isEmpty }
      tool.signal(SIGSTOP)
      await until("the lock ends") { try server.keys().isEmpty }
      let alive = folder.read("alive")
      tool.signal(SIGCONT)
      let outcome = await tool.outcome()
      #expect(outcome.errors.contains("ended the command"), "\(outcome.errors)")
      #expect(outcome.status == 76 && folder.read("alive") == alive)
    }
  }
#endif
