#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  @Suite(
    "redis-lock run in a large environment", .timeLimit(.minutes(2)),
    .enabled("Only root can make a container, and a compiler is needed.") {
      Container.canRun && SystemTool.runs(["clang", "--version"])
    })
  struct LargeEnvironmentTests {
    // Their runtimes would have to be loaded first.
    #if !THREAD_SANITIZER && !ADDRESS_SANITIZER
      /// Lets some time pass between the first two reads of an environment, the first few times.
      private static let slowdown = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdarg.h>
        #include <string.h>
        #include <sys/types.h>
        #include <time.h>
        static int (*next_open)(const char *, int, ...);
        static ssize_t (*next_read)(int, void *, size_t);
        static int environment = -1, reads, pauses;
        __attribute__((constructor)) static void find(void) {
          next_open = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
          next_read = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
        }
        static long now(void) {
          struct timespec time;
          clock_gettime(CLOCK_MONOTONIC, &time);
          return time.tv_sec * 1000 + time.tv_nsec / 1000000;
        }
        int open(const char *path, int flags, ...) {
          va_list list;
          va_start(list, flags);
          int file = next_open(path, flags, va_arg(list, int));
          int is_environment = strlen(path) > 8 && strcmp(path + strlen(path) - 8, "/environ") == 0;
          if (is_environment || file == environment) environment = is_environment ? file : -1;
          reads = 0;
          return file;
        }
        ssize_t read(int file, void *bytes, size_t count) {
          if (file >= 0 && file == environment && ++reads == 2 && ++pauses <= 4)
            for (long end = now() + 40; now() < end;) continue;
          return next_read(file, bytes, count);
        }
        """

      @Test(
        "If the tool is killed, a process ends whose environment takes several reads, also amid an exec",
        arguments: [false, true])
      func killed(isCutOff: Bool) async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let folder = try TemporaryFolder()
        _ = try folder.makeFile("slowdown.c", Self.slowdown)
        let (library, program) = (folder.path("slowdown.so"), folder.path("program"))
        try #require(
          SystemTool.runs(["clang", "-shared", "-fPIC", "-o", library, folder.path("slowdown.c")]))
        // It becomes itself again and again, with the same environment.
        _ = try folder.makeFile(
          "program",
          """
          open F, ">>", $ARGV[0] or exit; print F "alive\\n"; close F;
          select undef, undef, undef, 0.003; exec $^X, $0, @ARGV
          """)
        // The mark of the run comes behind all of these. Without other processes, none ends amid a look, after which the
        // guardian would look again.
        let script = """
          x=$(head -c 30000 /dev/zero | tr '\\0' x); export A="$x" B="$x" C="$x" D="$x" E="$x"; : >"$2"
          LD_PRELOAD=$3 "$0" run key -- sh -c 'setsid --fork perl "$0" "$1"; exec sleep 100' "$1" "$2" & tool=$!
          until mapfile -t lines <"$2" && [ ${#lines[@]} -gt 10 ]; do :; done
          for p in /proc/[0-9]*; do read name <$p/comm; [ "$name" = lock-guardian ] && guardian=${p#/proc/}; done
          kill -KILL $tool; while [ -e /proc/$guardian ]; do :; done
          mapfile -t then <"$2"; sleep 0.3; mapfile -t now <"$2"
          [ ${#then[@]} = ${#now[@]} ] && echo ended || echo goes on
          """
        let container = try ToolProcess(
          [program, folder.path("alive"), isCutOff ? library : ""], on: server,
          through: Container.command + ["--kill-child", "/bin/bash", "-c", script])
        let outcome = await container.outcome()
        #expect(outcome.output == "ended\n", "\(outcome)")
      }
    #endif
  }
#endif
