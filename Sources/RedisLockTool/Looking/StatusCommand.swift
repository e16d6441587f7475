#if CommandLineTool
  import ArgumentParser
  import AsyncRedisLock

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// Says who holds keys, and who waits for them.
  struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "status", abstract: "Say who holds a lock, since when, and who waits for it.",
      discussion: """
        Since when, and with which fencing token, only redis-lock run tells. Exit status: 0, also for a key that \
        is free; 69, 77 as for run.
        """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "As JSON, an object for each key and line.")
    var json = false

    @Flag(help: "Look again every second, until interrupted.")
    var watch = false

    @Argument(help: "What to look at.")
    var keys: [String]

    func run() async throws {
      await ToolFailure.reported(by: Console(level: .warning, isJSON: false)) {
        let locker = try await connection.connect()
        let redraws = watch && !json && isatty(STDOUT_FILENO) == 1
        repeat {
          var reports: [LockReport] = []
          for key in keys { reports.append(try await LockReport(about: key, at: locker)) }
          let lines = try reports.map {
            json ? try JSONEncoder.forTool.line($0) : $0.text(at: .now)
          }
          // From the upper left corner; what is left of the last picture is cleared.
          let start = redraws ? "\u{1B}[H\u{1B}[J" : ""
          Output.say(start + lines.joined(separator: "\n"))
          if watch { try await Task.sleep(for: .seconds(1)) }
        } while watch
        return 0
      }
    }
  }
#endif
