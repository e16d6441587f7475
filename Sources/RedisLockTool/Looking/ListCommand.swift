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

    @Flag(help: "Also the keys that are free and have a record of their last run.")
    var ended = false

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
            try await lookAtAll(locker) { page in
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
        try await lookAtAll(locker) { page in
          for report in page {
            Output.say(json ? try JSONEncoder.forTool.line(report) : line(for: report))
          }
        }
        return 0
      }
    }

    /// The report with all that the server knows about the key; nil if it has become free.
    private func detailed(_ report: LockReport, at locker: Locker) async throws -> LockReport? {
      if report.state == .free { return report }
      do {
        guard let status = try await locker.inspect(report.key) else { return nil }
        return try await LockReport(status, at: locker)
      } catch let error as LockError where error.code == .invalidKey {
        // Not a lock of this library, which would not take such a key.
        return report
      }
    }

    /// Hands over the locks page by page and, if asked for, then the free keys with a record.
    private func lookAtAll(
      _ locker: Locker, _ body: ([LockReport]) async throws -> Void
    ) async throws {
      // By bytes: equal strings can be different keys.
      var known: Set<[UInt8]> = []
      try await look(at: locker) { page in
        if ended { known.formUnion(page.map { Array($0.key.utf8) }) }
        try await body(page)
      }
      guard ended else { return }
      for pattern in locker.recordPatterns(forKeys: pattern) {
        try await KeyWalk(pattern: pattern, type: .hash, locker: locker).run { records in
          for name in records.compactMap(\.name) {
            guard let key = locker.key(ofRecord: name), known.insert(Array(key.utf8)).inserted,
              let report = try await freeReport(on: key, at: locker)
            else { continue }
            try await body([report])
          }
        }
      }
    }

    /// The report on a key with a record; nil if it is not free, or was just taken.
    private func freeReport(on key: String, at locker: Locker) async throws -> LockReport? {
      do {
        let report = try await LockReport(about: key, at: locker)
        return report.state == .free && report.lastRun != nil ? report : nil
      } catch let error as LockError where error.code == .invalidKey {
        return nil
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
      guard report.state == .free else { return "\(report.summary), \(report.remainingText)" }
      return report.summary + (report.lastRun.map { ", \($0.text)" } ?? "")
    }
  }
#endif
