import Foundation
import PrivateRedis
import Testing

/// A process of the helper program `LockTaker`, which lies beside the tests.
final class LockTakerProcess: Sendable {
  private let process: Process
  private let output = Recorder<String>()

  /// Starts the program; it is killed when this object goes out of scope.
  convenience init(_ server: RedisServer, _ mode: String, key: String, ttl: Int, extend: Int) throws
  {
    try self.init([server.url, mode, key, String(ttl), String(extend)])
  }

  /// Starts the program with arguments and variables, or through another program if one is named.
  init(
    _ arguments: [String], environment: [String: String] = [:], through launcher: [String] = []
  ) throws {
    process = Process()
    let directory = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    let program = directory.appending(path: "LockTaker").path(percentEncoded: false)
    let command = launcher + [program] + arguments
    process.executableURL = URL(filePath: command[0])
    process.arguments = Array(command.dropFirst())
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    // Not a readabilityHandler: if Dispatch on Linux watches a pipe that is hung up, it can crash
    // (https://github.com/swiftlang/swift-corelibs-libdispatch/issues/949).
    let reading = pipe.fileHandleForReading
    Thread.detachNewThread { [output] in
      while case let words = reading.availableData, !words.isEmpty {
        output.record(String(decoding: words, as: UTF8.self))
      }
    }
  }

  deinit { kill() }

  /// The output of the program so far.
  var saying: String { output.values.joined() }

  /// Whether the program has printed this text.
  func hasSaid(_ text: String) -> Bool { saying.contains(text) }

  /// Waits until the program has reported on its lock, which must be on the server until then.
  func expectKept(
    _ key: String, on server: RedisServer = .current,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    let client = RedisClient(server)
    await eventually(within: .seconds(15), "the process tells", sourceLocation: sourceLocation) {
      let isThere = try client("EXISTS", key) == .integer(1)
      #expect(isThere || hasSaid("kept"), sourceLocation: sourceLocation)
      return hasSaid("kept") || hasSaid("lost")
    }
    #expect(hasSaid("kept"), sourceLocation: sourceLocation)
  }

  /// Sends a signal, such as SIGSTOP, if the program still runs.
  func signal(_ number: Int32) {
    if process.isRunning { _ = Foundation.kill(process.processIdentifier, number) }
  }

  /// Stops the program with SIGSTOP, and returns when it has stopped.
  func stop() {
    signal(SIGSTOP)
    var info = unsafe siginfo_t()
    // Waits for no other change, so that the end of the process is still reported to its owner.
    _ = unsafe waitid(P_PID, id_t(id), &info, Int32(WSTOPPED))
  }

  /// The number of the process.
  var id: Int32 { process.processIdentifier }

  /// Ends the program without a chance to clean up.
  func kill() {
    guard process.isRunning else { return }
    _ = Foundation.kill(id, SIGKILL)
    // Not waitUntilExit(), which also waits for the children that the process has forked: they have copies of the
    // descriptor by which it sees the end. The process stays for its owner to be reaped.
    var info = unsafe siginfo_t()
    while unsafe waitid(P_PID, id_t(id), &info, Int32(WEXITED | WNOWAIT)) < 0, errno == EINTR {}
  }
}
