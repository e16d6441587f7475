import AsyncRedisLock
import Foundation

/// Another process of the demo.
enum Worker {
  /// Starts this program again with these arguments.
  static func start(_ arguments: String...) throws -> Process {
    let process = Process()
    process.executableURL = Bundle.main.executableURL
    process.arguments = arguments
    try process.run()
    return process
  }

  /// Does the work that the arguments name.
  static func main(_ arguments: [String]) async throws {
    let locker = try await Locker(url: arguments[1])
    switch arguments[0] {
    case "count":
      try await count(
        in: URL(filePath: arguments[2]), times: Int(arguments[3]) ?? 0,
        isLocked: arguments[4] == "true", locker)
    default:
      try await locker.withLock(
        arguments[2], options: LockOptions(ttl: .seconds(Int(arguments[3]) ?? 1))
      ) { _ in
        try await Task.sleep(for: .seconds(60))
      }
    }
    await locker.close()
  }

  private static func count(
    in file: URL, times: Int, isLocked: Bool, _ locker: Locker
  ) async throws {
    let options = LockOptions(retry: .milliseconds(5), timeout: .seconds(30))
    for _ in 0..<times {
      if isLocked {
        try await locker.withLock("demo:counter", options: options) { _ in
          try await increment(file)
        }
      } else {
        try await increment(file)
      }
    }
  }

  /// Not atomic: another process may write between the read and the write.
  private static func increment(_ file: URL) async throws {
    let count = Int(String(decoding: try Data(contentsOf: file), as: UTF8.self)) ?? 0
    try await Task.sleep(for: .milliseconds(1))
    try Data(String(count + 1).utf8).write(to: file, options: .atomic)
  }
}
