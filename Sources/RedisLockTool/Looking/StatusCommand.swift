#if CommandLineTool
  import ArgumentParser
  import AsyncRedisLock

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// Shows the holders of keys, and their waiters.
  struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "status", abstract: "Show a lock's holder, start time and waiters.",
      discussion: """
        Since when, with which fencing token, and how the last run ended, is known of redis-lock run alone. \
        Exit status: 0 when each key is taken, 1 when one is free; 69, 77 as for run.
        """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print JSON, one object per line for each key.")
    var json = false

    @Flag(help: "Refresh every second, until interrupted.")
    var watch = false

    @Argument(help: "The keys to look at.", completion: LockNames.completion)
    var keys: [String]

    func run() async throws {
      await ToolFailure.reported(by: Console(level: .warning, isJSON: false)) {
        let locker = try await connection.connect()
        if watch { try await Watch.run(isJSON: json) { try await look(at: locker).picture } }
        let (picture, isHeld) = try await look(at: locker)
        Output.say(picture)
        return isHeld ? 0 : ToolStatus.problem.rawValue
      }
    }

    /// Returns the text to show, and whether all keys are taken.
    private func look(at locker: Locker) async throws -> (picture: String, isHeld: Bool) {
      var reports: [LockReport] = []
      for key in keys { reports.append(try await LockReport(about: key, at: locker)) }
      let lines = try reports.map { json ? try JSONEncoder.forTool.line($0) : $0.text }
      return (lines.joined(separator: "\n"), reports.allSatisfy { $0.state != .free })
    }
  }
#endif
