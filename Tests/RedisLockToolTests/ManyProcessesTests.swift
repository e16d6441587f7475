#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  /// What a run needs much time for if its command has many processes.
  @Suite("redis-lock run with a command of many processes", .timeLimit(.minutes(5)))
  struct ManyProcessesTests: SignsOfLife {
    // Their runtimes would have to be loaded first.
    #if !THREAD_SANITIZER && !ADDRESS_SANITIZER
      /// A library that makes it slow to open an environment.
      private static let slowdown = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <string.h>
        #include <time.h>
        static int (*next)(const char *, int, ...);
        __attribute__((constructor)) static void find(void) { next = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open"); }
        static long now(void) {
          struct timespec time;
          clock_gettime(CLOCK_MONOTONIC, &time);
          return time.tv_sec * 1000 + time.tv_nsec / 1000000;
        }
        int open(const char *path, int flags, ...) {
          if (strstr(path, "/environ"))
            for (long end = now() + 30; now() < end;) continue;
          __builtin_va_list list;
          __builtin_va_start(list, flags);
          return next(path, flags, __builtin_va_arg(list, int));
        }
        """

      @Test(
        "A lock is kept while it takes long to pass a signal on",
        .enabled("A compiler is needed.") { SystemTool.runs(["clang", "--version"]) })
      func slowSignal() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let folder = try TemporaryFolder()
        _ = try folder.makeFile("slowdown.c", Self.slowdown)
        let (source, library) = (folder.path("slowdown.c"), folder.path("slowdown.so"))
        try #require(SystemTool.runs(["clang", "-shared", "-fPIC", "-o", library, source]))
        // A shell that has a child becomes the run, so that its group is not the command's alone.
        let outcome = try await Terminal.type(
          [("= ready", "")],
          into: """
            ( sleep 100 & echo = child $!; LD_PRELOAD='\(library)' exec $RUN --ttl 1500ms key -- bash -c '
              ( trap "" USR1 USR2; for i in {1..70}; do sleep 100 & done )
              trap "echo = first" USR1; trap "echo = second" USR2; echo = ready; \(Terminal.untilGo); echo = done' \
              </dev/null; ) & tool=$!
            until grep -q '^= ready' "$seen"; do sleep 0.02; done
            # The second one is passed on when the first one has been.
            kill -USR1 $tool; kill -USR2 $tool
            until grep -q '^= second' "$seen" || ! kill -0 $tool; do sleep 0.02; done
            : >$GO; wait $tool; echo = $?; set -- $(grep -ao '^= child [0-9]*' "$seen"); kill $3; echo = over
            """, on: server)
        #expect(outcome.output.contains("= first"), "\(outcome.output)")
        #expect(outcome.output.contains("= done"), "\(outcome.output)")
        #expect(outcome.output.contains("= 0"), "\(outcome.output)")
      }
    #endif
  }
#endif
