#if THREAD_SANITIZER
  import Foundation
  import Testing

  @Suite("The order of mutexes", .timeLimit(.minutes(1)))
  struct MutexOrderTests {
    @Test("The thread sanitizer reports mutexes of the library that are taken in both orders")
    func inversion() throws {
      let folder = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
      let process = Process()
      process.executableURL = folder.appending(path: "LockTaker")
      process.arguments = ["invert"]
      let errors = Pipe()
      process.standardError = errors
      try process.run()
      let report = String(
        decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      #expect(report.contains("lock-order-inversion"), "\(report)")
      #expect(process.terminationStatus != 0)
    }
  }
#endif
