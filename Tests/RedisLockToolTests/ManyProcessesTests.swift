#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  /// What a run needs much time for if its command, or the machine, has many processes.
  @Suite(
    "redis-lock run among many processes", .timeLimit(.minutes(5)),
    .enabled("A compiler is needed.") { SystemTool.runs(["clang", "--version"]) })
  struct ManyProcessesTests {
    // Their runtimes would have to be loaded first.
    #if !THREAD_SANITIZER && !ADDRESS_SANITIZER
      /// Replaces functions of the C library by slow ones.
      private static let slowdown = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <string.h>
        #include <time.h>
        static int (*next_open)(const char *, int, ...), (*next_pipe)(int *, int);
        __attribute__((constructor)) static void find(void) {
          next_open = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
          next_pipe = (int (*)(int *, int))dlsym(RTLD_NEXT, "pipe2");
        }
        static long now(void) {
          struct timespec time;
          clock_gettime(CLOCK_MONOTONIC, &time);
          return time.tv_sec * 1000 + time.tv_nsec / 1000000;
        }
        static void work(const char *what) {
          if (!strstr(what, WHAT)) return;
          for (long end = now() + MILLISECONDS; now() < end;) continue;
        }
        int open(const char *path, int flags, ...) {
          work(path);
          __builtin_va_list list;
          __builtin_va_start(list, flags);
          return next_open(path, flags, __builtin_va_arg(list, int));
        }
        int pipe2(int *ends, int flags) {
          work("pipe");
          return next_pipe(ends, flags);
        }
        """

      /// Makes a library with which an action takes so many milliseconds more.
      private func makeSlow(
        _ action: String, by milliseconds: Int, in folder: TemporaryFolder
      ) throws -> String {
        _ = try folder.makeFile("slowdown.c", Self.slowdown)
        let library = folder.path("slowdown.so")
        let arguments = ["-DWHAT=\"\(action)\"", "-DMILLISECONDS=\(milliseconds)"]
        try #require(
          SystemTool.runs(
            ["clang", "-shared", "-fPIC"] + arguments + ["-o", library, folder.path("slowdown.c")]))
        return library
      }

      /// A program of so many processes that ignore SIGTERM, and write to a file as long as there is its folder.
      ///
      /// On demand, each is in a group of its own, below a process that is not the command.
      private func crowd(of count: Int, file: String, isApart: Bool = false) -> String {
        """
        perl -e '$SIG{TERM} = "IGNORE"; \(isApart ? "sleep 100 if fork;" : "")
          for (1 .. \(count)) {
            next if fork; \(isApart ? "setpgrp;" : "")
            while (open F, ">>", $ARGV[0]) { syswrite F, "x"; close F; select undef, undef, undef, 0.1 }
            exit
          }
          sleep 100' '\(file)'
        """
      }

      /// Tells whether a file does not grow any more.
      private func isQuiet(_ file: String) -> String {
        "sh -c 'wc -c <\"$0\" >\"$0.1\"; sleep 1; wc -c <\"$0\" | cmp - \"$0.1\" && echo = alone' '\(file)'"
      }

      @Test("A lock is kept while it takes long to pass a signal on")
      func slowSignal() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let folder = try TemporaryFolder()
        let library = try makeSlow("/environ", by: 80, in: folder)
        // A shell that has a child becomes the run, so that its group is not the command's alone.
        let outcome = try await Terminal.type(
          [("= ready", "")],
          into: """
            ( sleep 100 & echo = child $!; LD_PRELOAD='\(library)' exec $RUN --ttl 4s key -- bash -c '
              ( trap "" USR1 USR2; for i in {1..70}; do sleep 100 & done )
              trap "echo = first" USR1; trap "echo = second" USR2; echo = ready; \(Terminal.untilGo); echo = done' \
              </dev/null ) & tool=$!
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

      @Test(
        "Many processes that only their environments tell from others end with the lock",
        arguments: [false, true])
      func manyInDoubt(isStopped: Bool) async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let folder = try TemporaryFolder()
        let library = try makeSlow("pipe", by: 10, in: folder)
        let alive = folder.path("alive")
        let outcome = try await Terminal.type(
          [("= over", "")],
          into: """
            ( sleep 100 & echo = child $!
              LD_PRELOAD='\(library)' exec $RUN --ttl 3s --max-hold 1500ms key -- \(crowd(of: 100, file: alive)) \
              </dev/null ) & tool=$!
            until [ -s '\(alive)' ]; do sleep 0.02; done
            \(isStopped ? "kill -STOP $tool" : "")
            $RUN key -- \(isQuiet(alive))
            kill -CONT $tool; wait $tool; set -- $(grep -ao '^= child [0-9]*' "$seen"); kill $3 && echo = spared; echo = over
            """, on: server)
        #expect(outcome.output.contains("= alone"), "\(outcome.output)")
        #expect(outcome.output.contains("= spared"), "\(outcome.output)")
      }

      @Test("A run that has to look at many processes for long is not taken for one that hangs")
      func slowLook() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let folder = try TemporaryFolder()
        let processes = try FileManager.default.contentsOfDirectory(atPath: "/proc")
          .count { Int($0) != nil }
        let library = try makeSlow("/stat", by: max(1, 1800 / processes), in: folder)
        let outcome = try await Terminal.type(
          [("= over", "")],
          into: """
            LD_PRELOAD='\(library)' $RUN --ttl 3s --max-hold 2s key -- sh -c 'trap "" TERM; sleep 100' </dev/null
            echo = $?; echo = over
            """, on: server)
        #expect(outcome.output.contains("= 76"), "\(outcome.output)")
      }

      @Test("A chain of processes that are too short-lived to be found is not taken for ended")
      func shortLived() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let folder = try TemporaryFolder()
        let library = try makeSlow("/stat", by: 2, in: folder)
        let (source, chain, alive) = (
          folder.path("chain.c"), folder.path("chain"), folder.path("alive")
        )
        _ = try folder.makeFile(
          "chain.c",
          """
          #include <fcntl.h>
          #include <signal.h>
          #include <unistd.h>
          int main(int count, char **arguments) {
            signal(SIGTERM, SIG_IGN);
            if (fork() > 0) pause();
            for (int file; (file = open(arguments[1], O_WRONLY | O_CREAT | O_APPEND, 0600)) >= 0 && write(file, "x", 1) == 1;) {
              close(file);
              usleep(300);
              if (fork() != 0) _exit(0);
            }
          }
          """)
        try #require(SystemTool.runs(["clang", "-o", chain, source]))
        let outcome = try await Terminal.type(
          [("= over", "")],
          into: """
            LD_PRELOAD='\(library)' $RUN --ttl 3s --max-hold 2s key -- '\(chain)' '\(alive)' </dev/null; echo = $?
            \(isQuiet(alive)); echo = over
            """, on: server)
        let isTold = outcome.output.contains("cannot kill process")
        #expect(isTold || outcome.output.contains("= alone"), "\(outcome.output)")
        #expect(outcome.output.contains("= 76"), "\(outcome.output)")
      }
    #endif
  }
#endif
