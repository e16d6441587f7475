import Foundation
import PrivateRedis

/// Sets a server's clock: by a library that is loaded into it before the system's.
///
/// libfaketime cannot do that, since it allocates memory before the server's allocator is ready.
final class ServerClock {
  private let file: String
  /// What `REDIS_SERVER` was before.
  private let program = ProcessInfo.processInfo.environment["REDIS_SERVER"]
  /// By how much the server's clock is wrong, in seconds.
  private(set) var offset = 0

  /// Builds the library, and starts the server again with it.
  ///
  /// - Returns: nil where there is no compiler, or no Linux.
  /// - Throws: What the restart throws.
  init?(_ server: RedisServer) throws {
    #if os(Linux)
      let folder = server.directory
      file = folder + "/clock"
      let (source, library, starter) = (
        folder + "/clock.c", folder + "/clock.so", folder + "/start"
      )
      try Self.code.write(toFile: source, atomically: true, encoding: .utf8)
      try Data(count: 8).write(to: URL(filePath: file))
      let script = """
        #!/bin/sh
        LD_PRELOAD='\(library)' CHAOS_CLOCK='\(file)' exec '\(program ?? "redis-server")' "$@"

        """
      try script.write(toFile: starter, atomically: true, encoding: .utf8)
      try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: starter)
      guard Self.compile(source, to: library) else { return nil }
      _ = unsafe setenv("REDIS_SERVER", starter, 1)
      try server.restart()
    #else
      return nil
    #endif
  }

  deinit {
    if let program {
      _ = unsafe setenv("REDIS_SERVER", program, 1)
    } else {
      _ = unsafe unsetenv("REDIS_SERVER")
    }
  }

  /// Sets the clock, without an instant in between.
  ///
  /// - Throws: A Foundation error.
  func set(offset seconds: Int) throws {
    offset = seconds
    let handle = try FileHandle(forUpdating: URL(filePath: file))
    defer { try? handle.close() }
    try handle.write(
      contentsOf: unsafe withUnsafeBytes(of: Int64(seconds)) { unsafe Data($0) })
  }

  private static func compile(_ source: String, to library: String) -> Bool {
    let compiler = Process()
    compiler.executableURL = URL(filePath: "/usr/bin/env")
    compiler.arguments = ["cc", "-O1", "-shared", "-fPIC", "-o", library, source]
    guard (try? compiler.run()) != nil else { return false }
    compiler.waitUntilExit()
    return compiler.terminationStatus == 0
  }

  /// The clock is read by the system call, since nothing else works so early in a process.
  private static let code = """
    #define _GNU_SOURCE
    #include <fcntl.h>
    #include <stdlib.h>
    #include <sys/mman.h>
    #include <sys/syscall.h>
    #include <sys/time.h>
    #include <time.h>
    #include <unistd.h>

    static volatile long long *offset;

    __attribute__((constructor)) static void map(void) {
      int file = open(getenv("CHAOS_CLOCK"), O_RDONLY | O_CLOEXEC);
      void *memory = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
      close(file);
      if (memory != MAP_FAILED) offset = memory;
    }

    int clock_gettime(clockid_t clock, struct timespec *time) {
      int result = syscall(SYS_clock_gettime, clock, time);
      if (offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        time->tv_sec += *offset;
      return result;
    }

    int gettimeofday(struct timeval *restrict time, void *restrict zone) {
      struct timespec now;
      (void)zone;
      clock_gettime(CLOCK_REALTIME, &now);
      time->tv_sec = now.tv_sec;
      time->tv_usec = now.tv_nsec / 1000;
      return 0;
    }

    time_t time(time_t *result) {
      struct timespec now;
      clock_gettime(CLOCK_REALTIME, &now);
      if (result) *result = now.tv_sec;
      return now.tv_sec;
    }
    """
}
