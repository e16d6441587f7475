import Foundation
import PrivateRedis

/// A process of the helper program `LockTaker`, which lies beside the tests.
final class LockTakerProcess: Sendable {
  private let process: Process
  private let output = Recorder<String>()

  /// Starts the program; it is killed when this goes out of scope.
  init(_ server: RedisServer, _ mode: String, key: String, ttl: Int, extend: Int) throws {
    process = Process()
    let directory = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    process.executableURL = directory.appending(path: "LockTaker")
    process.arguments = [server.url, mode, key, String(ttl), String(extend)]
    let pipe = Pipe()
    process.standardOutput = pipe
    pipe.fileHandleForReading.readabilityHandler = { [output] handle in
      output.record(String(decoding: handle.availableData, as: UTF8.self))
    }
    try process.run()
  }

  deinit { kill() }

  /// Whether the program has said this.
  func hasSaid(_ text: String) -> Bool { output.values.joined().contains(text) }

  /// Sends a signal, such as SIGSTOP, as long as the program runs.
  func signal(_ number: Int32) {
    if process.isRunning { _ = Foundation.kill(process.processIdentifier, number) }
  }

  /// The number of the process.
  var id: Int32 { process.processIdentifier }

  /// Ends the program without a chance to clean up.
  func kill() {
    guard process.isRunning else { return }
    _ = Foundation.kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}
