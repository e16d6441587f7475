#if CommandLineTool
  import ArgumentParser
  import AsyncRedisLock

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// Lists the locks on a server.
  struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List the locks on the server.",
      discussion: """
        Walks through all keys with SCAN, which does not hold the server up. Locks are known by their value. \
        Exit status: 0; 69, 77 as for run.
        """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "As JSON, an object for each lock and line.")
    var json = false

    @Flag(help: "Also what may be locks of other clients: all strings that expire.")
    var foreign = false

    @Argument(
      help: "Which keys: * stands for anything, ? for one character, [ab] for one of these.")
    var pattern = "*"

    func run() async throws {
      await ToolFailure.reported(by: Console(level: .warning, isJSON: false)) {
        let locker = try await connection.connect()
        // SCAN may name a key twice. By bytes: equal strings can be different keys.
        var seen: Set<[UInt8]> = []
        var cursor = "0"
        repeat {
          let scan = ["SCAN", cursor, "MATCH", pattern, "COUNT", "1000", "TYPE", "string"]
          let (next, keys) = try Self.page(try await locker.ask([scan]))
          cursor = next
          for report in try await reports(
            on: keys.filter { seen.insert(Array($0.utf8)).inserted }, locker)
          {
            Output.say(json ? try JSONEncoder.forTool.line(report) : line(for: report))
          }
        } while cursor != "0"
        return 0
      }
    }

    private static func page(_ replies: [Reply]) throws -> (cursor: String, keys: [String]) {
      switch replies.first {
      case .array(let parts):
        guard parts.count == 2, case .string(let cursor) = parts[0],
          case .array(let keys) = parts[1]
        else { break }
        let names = keys.compactMap { if case .string(let key) = $0 { key } else { nil } }
        return (cursor, names)
      case .error(let error): throw ToolFailure(.refused, error.message)
      default: break
      }
      throw ToolFailure(.refused, "the server does not list its keys")
    }

    /// Looks at keys, all in one go.
    private func reports(on keys: [String], _ locker: Locker) async throws -> [LockReport] {
      guard !keys.isEmpty else { return [] }
      let replies = try await locker.ask(
        keys.flatMap { [["GETRANGE", $0, "0", "511"], ["PTTL", $0]] })
      return keys.indices.compactMap { index in
        guard case .string(let value) = replies[index * 2], !value.isEmpty,
          case .integer(let milliseconds) = replies[index * 2 + 1]
        else { return nil }
        let holder = LockHolder(value: value)
        let isOwnHelper = keys[index].hasPrefix(locker.keyPrefix)
        guard holder.host != nil || foreign && milliseconds > 0 && !isOwnHelper else { return nil }
        return LockReport(
          key: keys[index], holder: holder,
          remaining: milliseconds < 0 ? nil : Double(milliseconds) / 1000)
      }
    }

    private func line(for report: LockReport) -> String {
      "\(report.key.safeToShow): \(report.holder?.description ?? ""), \(report.remainingText)"
    }
  }
#endif
