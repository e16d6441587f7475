import Foundation

/// A process of this program that runs a ``Worker``, and ends with this one.
final class WorkerProcess {
  private let process = Process()
  /// What only this process holds the writing end of.
  private let life = Pipe()
  private let log: String
  private(set) var isStopped = false
  /// Whether this process has killed it.
  private(set) var isKilled = false

  /// Starts the process; what it says goes to a file in the folder.
  ///
  /// - Throws: A Foundation error.
  init(_ order: WorkerOrder, folder: String) throws {
    log = folder + "/worker-\(order.lane)-\(order.seed).log"
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    let output = try FileHandle(forWritingTo: URL(filePath: log))
    process.executableURL = Bundle.main.executableURL
    process.arguments = [
      "worker", String(decoding: try JSONEncoder().encode(order), as: UTF8.self),
    ]
    process.standardInput = life
    process.standardOutput = output
    process.standardError = output
    try process.run()
    try output.close()
  }

  /// The number of the process.
  var id: Int32 { process.processIdentifier }

  /// Whether the process has ended.
  var hasEnded: Bool { !process.isRunning }

  /// Stops it where it is.
  func stop() {
    signal(SIGSTOP)
    isStopped = true
  }

  /// Lets it go on.
  func resume() {
    signal(SIGCONT)
    isStopped = false
  }

  /// Kills it.
  func kill() {
    isKilled = true
    signal(SIGKILL)
  }

  /// How it has ended if that was not as it should; nil if it was.
  var complaint: String? {
    guard !isKilled, !process.isRunning else { return nil }
    let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
    switch process.terminationReason {
    case .exit where process.terminationStatus == 0: return nil
    case .exit: return "A worker ended with \(process.terminationStatus): \(text)"
    default: return "A worker was ended by signal \(process.terminationStatus): \(text)"
    }
  }

  private func signal(_ number: Int32) {
    guard process.isRunning else { return }
    _ = Foundation.kill(process.processIdentifier, number)
  }
}
