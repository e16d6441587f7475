#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("redis-lock run with a very short lock", .timeLimit(.minutes(2)))
  struct ShortLockTests: SignsOfLife {
    @Test("If the tool is stopped, its command is ended in time")
    func toolStopped() async throws { try await expectEnds(after: { $0.signal(SIGSTOP) }) }

    @Test("If the tool and the guardian are stopped, the command is ended in time, too")
    func bothStopped() async throws {
      try await expectEnds(after: { tool in
        guard let guardian = tool.guardian else { return }
        tool.signal(SIGSTOP)
        kill(guardian, SIGSTOP)
      })
    }

    private func expectEnds(after stop: (ToolProcess) -> Void) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      var times: [Int64] = []
      for attempt in 0..<10 {
        let folder = try TemporaryFolder()
        let tool = try ToolProcess(
          ["run", "--ttl", "100ms", "key-\(attempt)", "-c", stubborn(folder.path("alive"))],
          on: server)
        // So short a lock may end before the command is started.
        await until("it runs") { !folder.read("alive").isEmpty || !tool.isRunning }
        guard tool.isRunning else { continue }
        stop(tool)
        try await expectEnd(folder, of: now)
        tool.signal(SIGCONT)
        _ = await tool.outcome()
        let signs = try signs(folder.read("alive"))
        times.append(signs.last - signs.first)
      }
      // A guardian that does not learn of the lock at once is late by up to 150 ms. The machine may be busy now and then.
      let late = times.count { $0 > 180_000_000 }
      #expect(times.count >= 5 && late <= times.count / 4, "\(times)")
    }
  }
#endif
