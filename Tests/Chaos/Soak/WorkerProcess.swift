import ChaosLog
import Foundation
import PrivateRedis

/// A process of this program that runs a ``Worker``, and ends with this one.
final class WorkerProcess {
  private let process: ChildProcess
  /// The pipe whose writing end only this process holds.
  private let life = Pipe()
  private let log: String
  private var ending: ChildProcess.Ending?
  private(set) var isStopped = false
  /// Whether this process has killed it.
  private(set) var isKilled = false

  /// Starts the process; its output goes to a file in the folder.
  ///
  /// - Throws: A Foundation error, or ``RedisError/start(_:)``.
  init(_ order: WorkerOrder, folder: String) throws {
    log = folder + "/worker-\(order.lane)-\(order.seed).log"
    let order = String(decoding: try JSONEncoder().encode(order), as: UTF8.self)
    // If the process crashes or does not end, the runtime prints what each thread was doing.
    process = try ChildProcess(
      script: """
        export SWIFT_BACKTRACE=enable=yes,threads=all,interactive=no,color=no
        exec "$1" worker "$2" 2>&1
        """,
      arguments: [Bundle.main.executablePath ?? CommandLine.arguments[0], order],
      input: .descriptor(life.fileHandleForReading.fileDescriptor), output: .newFile(log),
      errors: .null)
  }

  /// The number of the process.
  var id: Int32 { process.id }

  /// Whether the process has ended.
  var hasEnded: Bool {
    if ending == nil { ending = process.ending }
    return ending != nil
  }

  /// Stops the process where it is.
  func stop() {
    signal(SIGSTOP)
    isStopped = true
  }

  /// Resumes the process.
  func resume() {
    signal(SIGCONT)
    isStopped = false
  }

  /// Kills the process.
  func kill() {
    isKilled = true
    signal(SIGKILL)
  }

  /// Ends the process so that its log shows what each thread was doing, if the runtime supports that.
  func end() {
    signal(SIGCONT)
    signal(SIGQUIT)
    let end = LogClock.now + .milliseconds(30_000)
    while !hasEnded, LogClock.now < end { Thread.sleep(forTimeInterval: 0.01) }
    signal(SIGKILL)
  }

  /// How the process ended, if that was unexpected; otherwise nil.
  var complaint: String? {
    guard !isKilled, hasEnded, let ending, ending != .exit(0) else { return nil }
    let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
    return switch ending {
    case .exit(let status): "A worker ended with \(status): \(text)"
    case .signal(let number): "A worker was ended by signal \(number): \(text)"
    }
  }

  private func signal(_ number: Int32) {
    if !hasEnded { process.signal(number) }
  }
}
