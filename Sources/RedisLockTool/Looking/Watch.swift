#if CommandLineTool
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

  /// Looks again every second, until interrupted, and through outages of the server.
  enum Watch {
    /// Shows the result of each look; on a terminal, each picture replaces the last one.
    static func run(isJSON: Bool, _ look: () async throws -> String) async throws -> Never {
      let redraws = !isJSON && isatty(STDOUT_FILENO) == 1
      // From the upper left corner; the rest of the last picture is cleared.
      let start = redraws ? "\u{1B}[H\u{1B}[J" : ""
      var outage: Date?
      while true {
        do {
          let picture = try await look()
          outage = nil
          if !picture.isEmpty || redraws { Output.say(start + picture) }
        } catch let error as LockError where error.isRetryable {
          // A log gets one line about an outage.
          if outage == nil || redraws {
            let since = outage ?? .now
            outage = since
            let text = "unreachable since \(since.short): \(error.message)"
            Output.say(start + (isJSON ? try JSONEncoder.forTool.line(["error": text]) : text))
          }
        }
        try await Task.sleep(for: .seconds(1))
      }
    }
  }
#endif
