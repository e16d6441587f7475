#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  @Suite(
    "A redis-lock run that hangs", .timeLimit(.minutes(2)),
    .enabled("A compiler is needed.") { SystemTool.runs(["clang", "--version"]) })
  struct HangingToolTests: SignsOfLife {
    // Their runtimes would have to be loaded first.
    #if !THREAD_SANITIZER && !ADDRESS_SANITIZER
      @Test(
        "A tool that hangs when it is to end its command is ended by the guardian, as the command")
      func ended() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let folder = try TemporaryFolder()
        // Replaces a function of the C library: to send SIGTERM to a group takes for ever.
        _ = try folder.makeFile(
          "hang.c",
          """
          #define _GNU_SOURCE
          #include <signal.h>
          #include <sys/syscall.h>
          #include <unistd.h>
          int kill(pid_t process, int number) {
            while (number == SIGTERM && process < 0) pause();
            return (int)syscall(SYS_kill, process, number);
          }
          """)
        let library = folder.path("hang.so")
        try #require(
          SystemTool.runs(["clang", "-shared", "-fPIC", "-o", library, folder.path("hang.c")]))
        let tool = try ToolProcess(
          [
            "run", "--ttl", "3s", "--max-hold", "1s", "key", "-c", stubborn(folder.path("alive")),
          ], on: server, through: ["/usr/bin/env", "LD_PRELOAD=" + library])
        #expect(await tool.outcome().status == 128 + SIGKILL)
        let (first, last) = try signs(folder.read("alive"))
        #expect(last - first < 1_000_000_000, "it outlived the lock")
        await until("the lock ends") { try server.keys().isEmpty }
      }
    #endif
  }
#endif
