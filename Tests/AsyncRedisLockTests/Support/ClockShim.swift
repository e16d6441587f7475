import Foundation

/// Sets the clock of other processes, as `date -s` would, while they run.
///
/// A library in C that is loaded into them before the system's own; the offset is in a file that they map.
final class ClockShim: Sendable {
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
      if (status == 0 && clock == CLOCK_REALTIME && seconds) now->tv_sec += *seconds;
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
  private let offset: URL

  /// Whether the system lets such a library be made.
  static var isAvailable: Bool {
    #if os(Linux)
      (try? run("cc", "--version")) == 0
    #else
      false
    #endif
  }

  /// Compiles the library.
  ///
  /// - Throws: `CocoaError`.
  init() throws {
    let name = "clock-shim-" + String(UInt64.random(in: .min ... .max), radix: 36)
    directory = FileManager.default.temporaryDirectory.appending(path: name)
    offset = directory.appending(path: "offset")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
    let code = directory.appending(path: "shim.c")
    try Self.source.write(to: code, atomically: false, encoding: .utf8)
    try Data(count: 8).write(to: offset)
    guard try run("cc", "-shared", "-fPIC", "-O", "-o", library.path, code.path) == 0 else {
      throw CocoaError(.executableLoad)
    }
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  private var library: URL { directory.appending(path: "shim.so") }

  /// What a process needs so that its clock can be set.
  var environment: [String: String] {
    ["LD_PRELOAD": library.path, "CLOCK_SHIM_OFFSET": offset.path]
  }

  /// Sets the clocks, from now on, by so much off the right time.
  func shift(by duration: Duration) throws {
    let file = try FileHandle(forWritingTo: offset)
    // In place: the file is mapped.
    let seconds = duration.components.seconds
    try unsafe file.write(contentsOf: withUnsafeBytes(of: seconds) { unsafe Data($0) })
    try file.close()
  }
}
