import Foundation
import PrivateRedis
import Testing

/// A run of the built `redis-lock`, or of a program that runs it.
final class ToolProcess: Sendable {
  /// The end of a run, and its output.
  struct Outcome: Sendable {
    /// The exit status; for a killed process, 128 plus the signal's number, as in a shell.
    let status: Int32
    let output: String
    let errors: String
    let duration: Duration
  }

  /// The path of the program, next to the tests.
  static let path = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    .appending(path: "redis-lock").path(percentEncoded: false)

  /// The program that takes part in tests, next to the tool.
  static let lockTaker = URL(filePath: path).deletingLastPathComponent()
    .appending(path: "LockTaker").path(percentEncoded: false)

  private let process = Process()
  private let folder: TemporaryFolder
  private let start = ContinuousClock.now
  private let input: Pipe?

  /// Starts the program; it is killed when this object goes out of scope.
  init(
    _ arguments: [String], on server: RedisServer? = nil, url: String? = nil,
    through launcher: [String] = [], input: String? = nil, inputPipe: Bool = false,
    errors: FileHandle? = nil
  ) throws {
    folder = try TemporaryFolder()
    let command = launcher + [Self.path] + arguments
    process.executableURL = URL(filePath: command[0])
    process.arguments = Array(command.dropFirst())
    var environment = ProcessInfo.processInfo.environment
    environment["REDIS_LOCK_URL"] = url ?? server?.url
    process.environment = environment
    process.standardOutput = try folder.makeFile("output")
    process.standardError = try errors ?? folder.makeFile("errors")
    let pipe = input != nil || inputPipe ? Pipe() : nil
    self.input = pipe
    process.standardInput = pipe ?? FileHandle.nullDevice
    // Threads of Dispatch block signals, and a command would inherit the mask.
    var (none, former) = (sigset_t(), sigset_t())
    _ = unsafe pthread_sigmask(SIG_SETMASK, &none, &former)
    defer { _ = unsafe pthread_sigmask(SIG_SETMASK, &former, nil) }
    try process.run()
    if let input, let pipe {
      try pipe.fileHandleForWriting.write(contentsOf: Data(input.utf8))
      try pipe.fileHandleForWriting.close()
    }
  }

  deinit { signal(SIGKILL) }

  var isRunning: Bool { process.isRunning }
  var processID: pid_t { process.processIdentifier }
  var output: String { folder.read("output") }
  var errors: String { folder.read("errors") }

  /// Sends a signal if the program still runs.
  func signal(_ number: Int32) {
    if process.isRunning { kill(process.processIdentifier, number) }
  }

  /// Closes the program's standard input.
  func closeInput() throws { try input?.fileHandleForWriting.close() }

  /// Waits until the program has printed something on its standard output.
  func waitUntilSaid(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) async {
    await until("“\(text)” is said", sourceLocation: sourceLocation) { self.output.contains(text) }
  }

  /// Waits until the program has ended.
  func outcome(sourceLocation: SourceLocation = #_sourceLocation) async -> Outcome {
    await until("it ends", within: .seconds(60), sourceLocation: sourceLocation) {
      !self.process.isRunning
    }
    let duration = start.duration(to: .now)
    guard !process.isRunning else {
      return Outcome(status: -1, output: output, errors: errors, duration: duration)
    }
    let wasKilled = process.terminationReason == .uncaughtSignal
    return Outcome(
      status: process.terminationStatus + (wasKilled ? 128 : 0), output: output, errors: errors,
      duration: duration)
  }

  /// Runs the program to its end.
  static func run(
    _ arguments: [String], on server: RedisServer? = nil, url: String? = nil,
    through launcher: [String] = [], input: String? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> Outcome {
    try await Self(arguments, on: server, url: url, through: launcher, input: input).outcome(
      sourceLocation: sourceLocation)
  }
}

/// A folder that is removed with its owner.
final class TemporaryFolder: Sendable {
  let url: URL

  init() throws {
    url = URL.temporaryDirectory.appending(path: "redis-lock-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// The path of a file in the folder.
  func path(_ name: String) -> String { url.appending(path: name).path(percentEncoded: false) }

  /// Creates a file.
  func makeFile(_ name: String, _ text: String = "") throws -> FileHandle {
    try Data(text.utf8).write(to: url.appending(path: name))
    return try FileHandle(forWritingTo: url.appending(path: name))
  }

  /// The text of a file; empty if there is none.
  func read(_ name: String) -> String {
    (try? String(contentsOf: url.appending(path: name), encoding: .utf8)) ?? ""
  }
}

/// Waits until a condition is true, and records an issue if that takes too long.
func until(
  _ comment: Comment, within limit: Duration = .seconds(10),
  sourceLocation: SourceLocation = #_sourceLocation, _ condition: () throws -> Bool
) async {
  let deadline = ContinuousClock.now + limit
  while ContinuousClock.now < deadline {
    if (try? condition()) == true { return }
    try? await Task.sleep(for: .milliseconds(5))
  }
  Issue.record("not in time: \(comment)", sourceLocation: sourceLocation)
}

/// Whether a process has ended, and may not have been reaped yet.
///
/// Linux only.
func isZombie(_ process: pid_t) -> Bool {
  let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
  return status?.split(separator: ")").last?.contains(" Z ") ?? true
}

extension RedisServer {
  /// All keys except the fence counter, which stays for ever, and the records of runs.
  func keys() throws -> [String] {
    guard case .array(let keys) = try RedisClient(self)("KEYS", "*") else { return [] }
    return keys.compactMap(\.string)
      .filter { $0 != "redis-lock:fence" && !$0.hasPrefix("redis-lock:record:") }.sorted()
  }
}
