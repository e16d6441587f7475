import Foundation

/// The number of this process.
let ownProcessID = getpid()

/// The open resources of this process, and its size.
struct OwnProcess: Sendable, Codable {
  /// How many descriptors are open.
  let descriptors: Int
  /// How many threads there are; 0 if the system does not tell.
  let threads: Int
  /// How much memory is in use, in bytes; 0 if the system does not tell.
  let memory: Int

  /// Measures the process as it is now.
  static func now() -> OwnProcess {
    #if os(Linux)
      let statm = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
      let pages = statm?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
      return OwnProcess(
        descriptors: count("/proc/self/fd"), threads: count("/proc/self/task"),
        memory: pages * sysconf(Int32(_SC_PAGESIZE)))
    #else
      return OwnProcess(descriptors: count("/dev/fd"), threads: 0, memory: 0)
    #endif
  }

  private static func count(_ folder: String) -> Int {
    (try? FileManager.default.contentsOfDirectory(atPath: folder).count) ?? 0
  }
}
