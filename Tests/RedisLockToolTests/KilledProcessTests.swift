#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  @Suite(
    "What redis-lock run tells of a process that ends amid its kill", .timeLimit(.minutes(2)),
    .enabled("A compiler is needed.") { SystemTool.runs(["clang", "--version"]) })
  struct KilledProcessTests {
    // Their runtimes would have to be loaded first.
    #if !THREAD_SANITIZER && !ADDRESS_SANITIZER
      /// Lets the tool's child end before the tool kills, and notes how it has ended.
      private static let wait = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <fcntl.h>
        #include <signal.h>
        #include <sys/wait.h>
        #include <unistd.h>
        int kill(pid_t process, int signal) {
          int (*next)(pid_t, int) = (int (*)(pid_t, int))dlsym(RTLD_NEXT, "kill");
          siginfo_t info = {.si_pid = 0};
          if (signal == SIGKILL && access(FILE, F_OK) != 0) {
            close(open(FILE, O_CREAT | O_WRONLY, 0600));
            for (int i = 0; i < 1000 && !info.si_pid; i++) {
              if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) break;
              usleep(1000);
            }
            int file = info.si_pid && info.si_code == CLD_EXITED ? open(FILE ".exit", O_CREAT | O_WRONLY, 0600) : -1;
            close(file);
          }
          return next(process, signal);
        }
        """

      @Test("A command that ends by itself while it is about to be killed is not told as killed")
      func endsByItself() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        // On a busy machine, the guardian may kill it meanwhile.
        var hasExited = false
        for _ in 0..<10 where !hasExited {
          let folder = try TemporaryFolder()
          _ = try folder.makeFile("wait.c", Self.wait)
          let (library, kill) = (folder.path("wait.so"), folder.path("kill"))
          try #require(
            SystemTool.runs([
              "clang", "-shared", "-fPIC", "-DFILE=\"\(kill)\"", "-o", library,
              folder.path("wait.c"),
            ]))
          let script = """
            trap 'while [ ! -e \(kill) ]; do :; done; exit' TERM; while :; do sleep 0.02; done
            """
          let tool = try ToolProcess(
            ["run", "--max-hold", "700ms", "--grace", "300ms", "key", "-c", script], on: server,
            through: ["/usr/bin/env", "LD_PRELOAD=\(library)"])
          let outcome = await tool.outcome()
          #expect(outcome.status == 76)
          hasExited = FileManager.default.fileExists(atPath: kill + ".exit")
          if hasExited { #expect(!outcome.errors.contains("SIGKILL"), "\(outcome.errors)") }
        }
        #expect(hasExited)
      }
    #endif
  }
#endif
