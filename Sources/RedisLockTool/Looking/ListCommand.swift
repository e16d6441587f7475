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

    @Flag(help: "Print JSON, one object per line for each lock.")
    var json = false

    @Flag(
      help: """
        Also what may be locks of other clients: all strings that expire, and with a pattern those that never do.
        """)
    var foreign = false

    @Argument(
      help: "A pattern for keys: * matches any text, ? one character, [ab] one of these characters."
    )
    var pattern = "*"

    @Flag(
      help:
        "Refresh every second, until interrupted: holders, waiters, and how long they have waited.")
    var watch = false

    /// Whether the user has named some keys: among all keys of a server, strings that never expire are seldom
    /// locks.
    private var isNarrowed: Bool { pattern != "*" }

    func run() async throws {
      await ToolFailure.reported(by: Console(level: .warning, isJSON: false)) {
        let locker = try await connection.connect()
        if watch {
          var board = LockBoard()
          try await Watch.run(isJSON: json) {
            var reports: [LockReport] = []
            try await look(at: locker) { page in
              for report in page {
                if let detailed = try await detailed(report, at: locker) {
                  reports.append(detailed)
                }
              }
            }
            return json
              ? try reports.map { try JSONEncoder.forTool.line($0) }.joined(separator: "\n")
              : board.picture(of: reports, at: .now)
          }
        }
        try await look(at: locker) { page in
          for report in page {
            Output.say(json ? try JSONEncoder.forTool.line(report) : line(for: report))
          }
        }
        return 0
      }
    }

    /// The report with all that the server knows about the key; nil if it has become free.
    private func detailed(_ report: LockReport, at locker: Locker) async throws -> LockReport? {
      do {
        guard let status = try await locker.inspect(report.key) else { return nil }
        return try await LockReport(status, at: locker)
      } catch let error as LockError where error.code == .invalidKey {
        // Not a lock of this library, which would not take such a key.
        return report
      }
    }

    /// Walks through the server, and hands over its findings page by page.
    private func look(
      at locker: Locker, _ body: ([LockReport]) async throws -> Void
    ) async throws {
      try await KeyWalk(pattern: pattern, locker: locker).run { keys in
        try await body(reports(on: keys, locker))
      }
    }

    /// Reports on those keys that are locks.
    private func reports(on keys: [ListedKey], _ locker: Locker) async throws -> [LockReport] {
      let locks = keys.filter { key in
        LockHolder(value: key.value).host != nil
          || foreign && (key.milliseconds > 0 || isNarrowed)
            && !key.shown.hasPrefix(locker.keyPrefix)
      }
      guard !locks.isEmpty else { return [] }
      let records = try await locker.records(of: locks.map { $0.name ?? "" })
      let time = try await locker.serverTime()
      return zip(locks, records).map { key, record in
        LockReport(
          key: key.name ?? key.shown, LockHolder(value: key.value),
          remaining: key.milliseconds < 0 ? nil : Double(key.milliseconds) / 1000,
          key.name == nil ? nil : record, at: time)
      }
    }

    private func line(for report: LockReport) -> String {
      "\(report.summary), \(report.remainingText)"
    }
  }
#endif
