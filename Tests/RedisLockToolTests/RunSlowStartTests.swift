#if CommandLineTool && os(Linux)
  import Foundation
  import Glibc
  import PrivateRedis
  import Testing

  /// A command may lie on another host: until its file can be opened, the run is responsible all the same.
  @Suite("redis-lock run while its command is about to start", .timeLimit(.minutes(2)))
  struct RunSlowStartTests {
    /// A program that no process can open until a lease on it is given up: sleep(1).
    private final class SlowProgram {
      let folder: TemporaryFolder
      let path: String
      private let descriptor: Int32

      init() throws {
        folder = try TemporaryFolder()
        path = folder.path("slow")
        try FileManager.default.copyItem(atPath: "/bin/sleep", toPath: path)
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        // F_SETSIG and F_SETLEASE: a process that opens it causes a signal, which by default does nothing.
        try #require(fcntl(descriptor, 10, SIGURG) == 0)
        try #require(fcntl(descriptor, 1024, Int32(F_WRLCK)) == 0)
      }

      /// Lets it start.
      func release() throws { try #require(fcntl(descriptor, 1024, Int32(F_UNLCK)) == 0) }

      deinit { close(descriptor) }
    }

    /// Starts a run and waits until its command is about to start.
    private func start(_ program: SlowProgram, on server: RedisServer) async throws -> ToolProcess {
      let tool = try ToolProcess(
        ["run", "--ttl", "3s", "key", "--", program.path, "0"], on: server)
      await until("the command is about to start") { tool.hasCommand }
      return tool
    }

    @Test("A run keeps its lock, and starts its command at last")
    func patient() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let program = try SlowProgram()
      let begin = ContinuousClock.now
      let tool = try await start(program, on: server)
      await until("the first lock would have expired") { .now > begin + .seconds(4) }
      try program.release()
      let outcome = await tool.outcome()
      #expect(outcome.status == 0, "\(outcome.errors)")
    }

    @Test("A signal ends it")
    func signal() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let program = try SlowProgram()
      let tool = try await start(program, on: server)
      tool.signal(SIGTERM)
      #expect(await tool.outcome().status == 128 + SIGTERM)
      try program.release()
    }

    @Test("The loss of the lock ends it")
    func loss() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let program = try SlowProgram()
      let tool = try await start(program, on: server)
      _ = try RedisClient(server)("DEL", "key")
      #expect(await tool.outcome().status == 76)
      try program.release()
    }
  }
#endif
