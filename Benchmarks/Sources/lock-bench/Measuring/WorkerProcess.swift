import Foundation

/// A process of this program that runs a ``WorkerCommand``.
final class WorkerProcess {
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var received = Data()

  /// Starts the process on the cores of the calling thread, and sends its order.
  init(_ order: WorkerOrder) throws {
    process.executableURL = Bundle.main.executableURL
    process.arguments = ["worker"]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    try say(String(decoding: try JSONEncoder().encode(order), as: UTF8.self))
  }

  /// Blocks until the worker is ready to be measured.
  func waitUntilReady() throws {
    guard try line() == "ready" else { throw BenchError("a worker sent an unexpected line") }
  }

  /// Starts the measurement.
  func start(until deadline: UInt64) throws { try say(String(deadline)) }

  /// Blocks until the worker reports its outcome.
  func outcome() throws -> Outcome {
    try JSONDecoder().decode(Outcome.self, from: Data(line().utf8))
  }

  /// Tells the worker to clean up, without waiting for it.
  func dismiss() { try? input.fileHandleForWriting.close() }

  /// Blocks until the process has ended.
  func waitForEnd() throws {
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw BenchError("a worker failed") }
  }

  deinit {
    dismiss()
    if process.isRunning { process.terminate() }
  }

  private func say(_ line: String) throws {
    try input.fileHandleForWriting.write(contentsOf: Data("\(line)\n".utf8))
  }

  private func line() throws -> String {
    while true {
      if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
        defer { received = Data(received[(end + 1)...]) }
        return String(decoding: received[..<end], as: UTF8.self)
      }
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { throw BenchError("a worker failed") }
      received += more
    }
  }
}
