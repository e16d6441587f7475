#if CommandLineTool
  import AsyncRedisLock

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// What there is to say of a key.
  struct LockReport: Encodable, Sendable {
    /// Who holds a lock, or waits for it.
    struct Party: Encodable, Sendable {
      let value: String
      let host: String?
      let processID: Int32?
      let label: String?
      let description: String

      init(_ holder: LockHolder) {
        value = holder.value
        host = holder.host
        processID = holder.processID
        label = holder.label
        // What a foreign client has stored may be anything.
        description = holder.description
      }
    }

    let key: String
    /// Nil when the key is free.
    var holder: Party?
    var since: Date?
    /// In seconds; nil when the key never expires.
    var remaining: Double?
    var fencingToken: UInt64?
    var waiterCount: Int?
    /// The first of those who wait, in order.
    var waiters: [Party]?

    /// Asks the server about a key.
    init(about key: String, at locker: Locker) async throws {
      self.key = key
      guard let status = try await locker.inspect(key) else { return }
      holder = Party(status.holder)
      remaining = status.remaining.map { $0 / .seconds(1) }
      waiterCount = status.waiterCount
      waiters = status.waiters.map(Party.init)
      if let record = try await locker.record(of: status) {
        since = Date(timeIntervalSince1970: Double(record.since) / 1000)
        fencingToken = record.fencingToken
      }
    }

    /// A report of what a list says.
    init(key: String, holder: LockHolder, remaining: Double?) {
      self.key = key
      self.holder = Party(holder)
      self.remaining = remaining
    }

    /// The report for people, without a line's end.
    func text(at now: Date) -> String {
      guard let holder else { return "\(key.safeToShow): free" }
      var lines = ["\(key.safeToShow): held by \(holder.description)"]
      var details: [String] = []
      if let since {
        let duration = Duration.seconds(max(now.timeIntervalSince(since), 0).rounded())
        details.append("since \(since.formatted(.iso8601)) (\(duration.brief))")
      }
      details.append(remainingText)
      if let fencingToken { details.append("fencing token \(fencingToken)") }
      lines.append("  " + details.joined(separator: ", "))
      if let waiterCount, let waiters, waiterCount > 0 {
        lines.append("  \(waiterCount) in the queue:")
        lines += waiters.map { "    \($0.description)" }
      }
      return lines.joined(separator: "\n")
    }

    var remainingText: String {
      remaining.map { "\((max($0, 0) * 10).rounded() / 10) s left" } ?? "never expires"
    }
  }

  extension JSONEncoder {
    /// How all of the tool's JSON looks.
    static var forTool: JSONEncoder {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      encoder.dateEncodingStrategy = .iso8601
      return encoder
    }

    /// A value as one line.
    func line(_ value: some Encodable) throws -> String {
      String(decoding: try encode(value), as: UTF8.self)
    }
  }
#endif
