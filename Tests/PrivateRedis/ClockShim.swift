import Foundation
import Synchronization

/// Sets the clock of other processes, as `date -s` would, while they run.
///
/// Works by a library in C that the processes load before the system's own. The offset is in a file that they map.
///
/// libfaketime does not work for a server: it allocates memory before the server's allocator is ready.
public final class ClockShim: Sendable {
  private static let source = """
    #define _GNU_SOURCE
    #include <fcntl.h>
    #include <stdlib.h>
    #include <sys/mman.h>
    #include <sys/syscall.h>
    #include <sys/time.h>
    #include <time.h>
    #include <unistd.h>

    static volatile long long *seconds;

    __attribute__((constructor)) static void map_offset(void) {
      const char *path = getenv("CLOCK_SHIM_OFFSET");
      int file = path ? open(path, O_RDONLY) : -1;
      if (file < 0) return;
      void *map = mmap(NULL, sizeof *seconds, PROT_READ, MAP_SHARED, file, 0);
      close(file);
      if (map != MAP_FAILED) seconds = map;
    }

    int clock_gettime(clockid_t clock, struct timespec *now) {
      long status = syscall(SYS_clock_gettime, clock, now);
      if (status == 0 && seconds
          && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *seconds;
      return status;
    }

    int gettimeofday(struct timeval *restrict now, void *restrict zone) {
      struct timespec exact;
      clock_gettime(CLOCK_REALTIME, &exact);
      now->tv_sec = exact.tv_sec;
      now->tv_usec = exact.tv_nsec / 1000;
      return 0;
    }

    time_t time(time_t *result) {
      struct timespec exact;
      clock_gettime(CLOCK_REALTIME, &exact);
      if (result) *result = exact.tv_sec;
      return exact.tv_sec;
    }
    """

  private let directory: URL
  private let file: URL
  private let seconds = Mutex(0)

  /// Whether the system can build such a library.
  public static var isAvailable: Bool {
    #if os(Linux)
      (try? runSystemCommand("cc", "--version")) == 0
    #else
      false
    #endif
  }

  /// Compiles the library.
  ///
  /// - Throws: `CocoaError`.
  public init() throws {
    let name = "clock-shim-" + String(UInt64.random(in: .min ... .max), radix: 36)
    directory = FileManager.default.temporaryDirectory.appending(path: name)
    file = directory.appending(path: "offset")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
    let code = directory.appending(path: "shim.c")
    try Self.source.write(to: code, atomically: false, encoding: .utf8)
    try Data(count: 8).write(to: file)
    guard try runSystemCommand("cc", "-shared", "-fPIC", "-O", "-o", library.path, code.path) == 0
    else {
      throw CocoaError(.executableLoad)
    }
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  private var library: URL { directory.appending(path: "shim.so") }

  /// The environment variables that make the clock of a process settable.
  public var environment: [String: String] {
    ["LD_PRELOAD": library.path, "CLOCK_SHIM_OFFSET": file.path]
  }

  /// How many seconds the clocks are off.
  public var offset: Int { seconds.withLock { $0 } }

  /// Sets the clocks this many seconds off the right time, from now on.
  ///
  /// - Throws: `CocoaError`.
  public func set(offset: Int) throws {
    try seconds.withLock { seconds in
      seconds = offset
      let handle = try FileHandle(forUpdating: file)
      defer { try? handle.close() }
      // Written in place, since the file is mapped.
      try unsafe handle.write(contentsOf: withUnsafeBytes(of: Int64(offset)) { unsafe Data($0) })
    }
  }
}
