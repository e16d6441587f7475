#if CommandLineTool
  import AsyncRedisLock

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// The report on a key.
  ///
  /// All times are the server's.
  struct LockReport: Encodable, Sendable {
    /// The holder of a lock, or a waiter for it.
    struct Party: Encodable, Sendable {
      let value: String
      let host: String?
      let processID: Int32?
      let label: String?
      let description: String
      /// For a waiter: since when it has its place, if that is known.
      let since: Date?

      init(_ holder: LockHolder, since arrival: Int64? = nil) {
        since = arrival.map { Date(milliseconds: $0) }
        value = holder.value
        host = holder.host
        processID = holder.processID
        label = holder.label
        // A foreign client may have stored anything. Any user that may ask the server may also see the value of
        // such a client.
        description = holder.host == nil ? holder.value.abbreviatedForMessage : holder.description
      }
    }

    /// Why a key is taken, if it is.
    enum State: String, Encodable, Sendable {
      case free
      case held
      /// Reserved for a waiter that gets its lock with the last of several keys.
      case reserved
      /// Released, and kept from other clients by `--min-hold`.
      case kept
    }

    /// A run under the lock that has ended; its end may be unknown.
    struct Run: Encodable, Sendable {
      let holder: Party
      let from: Date
      let until: Date?
      /// How it ended, in one word; nil if that is unknown.
      let ended: String?
      let exitStatus: Int32?
      let fencingToken: UInt64?

      init(_ record: RunRecord) {
        holder = Party(LockHolder(value: record.token))
        from = Date(milliseconds: record.start)
        until = record.end.map { Date(milliseconds: $0.time) }
        ended = record.end?.cause
        exitStatus = record.end?.status
        fencingToken = record.fencingToken
      }

      var text: String {
        let start = "last run by \(holder.description) from \(from.short)"
        guard let until, let exitStatus else { return "\(start); how it ended is not known" }
        let duration = Duration.seconds(until.timeIntervalSince(from)).rounded.text
        let cause = ended == "exited" ? "" : ", \(ended?.safeToShow ?? "")"
        return "\(start) to \(until.short) (\(duration))\(cause), exit status \(exitStatus)"
      }
    }

    let key: String
    let state: State
    /// Nil if the key is free.
    var holder: Party?
    var since: Date?
    /// In seconds; nil if the key never expires.
    var remaining: Double?
    var fencingToken: UInt64?
    var waiterCount: Int?
    /// The first waiters, in order.
    var waiters: [Party]?
    /// The run before, once the key is free.
    var lastRun: Run?
    /// How long it has been held.
    private(set) var held: Duration?
    /// How long the waiter has waited that has waited longest, as far as the server tells.
    private(set) var longestWait: Duration?

    private enum CodingKeys: CodingKey {
      case key, state, holder, since, remaining, fencingToken, waiterCount, waiters, lastRun
    }

    /// Asks the server about a key.
    init(about key: String, at locker: Locker) async throws {
      if let status = try await locker.inspect(key) {
        try await self.init(status, at: locker)
      } else {
        self.init(free: key, try await locker.records(of: [key])[0])
      }
    }

    /// Asks the server for more about a key that is taken.
    init(_ status: LockStatus, at locker: Locker) async throws {
      let record = try await locker.records(of: [status.key])[0]
      let arrivals = try await locker.arrivals(
        of: status.waiters.map(\.value), waitingFor: status.key)
      let time = try await locker.serverTime()
      self.init(
        key: status.key, status.holder, isReserved: status.isReserved,
        remaining: status.remaining.map { $0 / .seconds(1) }, record, at: time)
      waiterCount = status.waiterCount
      waiters = zip(status.waiters, arrivals).map { Party($0, since: $1) }
      if let time, let first = arrivals.compactMap(\.self).min() {
        longestWait = .milliseconds(max(time - first, 0))
      }
    }

    /// Reports a key that is taken.
    init(
      key: String, _ holder: LockHolder, isReserved: Bool = false, remaining: Double?,
      _ record: RunRecord?, at time: Int64?
    ) {
      self.key = key
      self.holder = Party(holder)
      self.remaining = remaining
      let own = record.flatMap { $0.token == holder.value ? $0 : nil }
      state = isReserved ? .reserved : own?.end != nil ? .kept : .held
      since = own.map { Date(milliseconds: $0.start) }
      fencingToken = own?.fencingToken
      if let own, let time { held = .milliseconds(max(time - own.start, 0)) }
      lastRun = own == nil || state == .kept ? record.map(Run.init) : nil
    }

    private init(free key: String, _ record: RunRecord?) {
      self.key = key
      state = .free
      lastRun = record.map(Run.init)
    }

    /// The holder of the key, and since when, in one line without its end.
    var summary: String {
      let name = key.safeToShow
      guard let holder else { return "\(name): free" }
      let word =
        switch state {
        case .free, .held: "held by"
        case .reserved: "reserved for"
        case .kept: "kept by --min-hold after its release by"
        }
      var text = "\(name): \(word) \(holder.description)"
      if let since { text += ", since \(since.short)" }
      if let held { text += " (\(held.rounded.text))" }
      return text
    }

    /// The report for people, without a final line end.
    var text: String {
      var lines = [summary]
      if holder != nil {
        let fence = fencingToken.map { ", fencing token \($0)" } ?? ""
        lines.append("  \(remainingText)\(fence)")
      }
      if let waiterCount, let waiters, waiterCount > 0 {
        lines.append("  \(waiterCount) in the queue:")
        lines += waiters.map { "    \($0.description)" }
      }
      if let lastRun { lines.append("  \(lastRun.text)") }
      return lines.joined(separator: "\n")
    }

    var remainingText: String {
      remaining.map { "\((max($0, 0) * 10).rounded() / 10) s left" } ?? "never expires"
    }
  }

  extension Date {
    init(milliseconds: Int64) { self.init(timeIntervalSince1970: Double(milliseconds) / 1000) }

    /// The time in the format of the reports.
    var short: String { formatted(.iso8601) }
  }

  extension Duration {
    /// Rounded to the second, unless that leaves nothing.
    var rounded: Duration {
      self < .seconds(1) ? self : .seconds((self / .seconds(1)).rounded())
    }
  }

  extension JSONEncoder {
    /// The format of all the tool's JSON.
    static var forTool: JSONEncoder {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      encoder.dateEncodingStrategy = .iso8601
      return encoder
    }

    /// A value as one line, with escapes for characters that a terminal would act on, or not show.
    func line(_ value: some Encodable) throws -> String {
      let text = String(decoding: try encode(value), as: UTF8.self)
      return text.unicodeScalars.map { scalar in
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse:
          String(scalar).utf16.map {
            let digits = String($0, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
          }.joined()
        default: String(scalar)
        }
      }.joined()
    }
  }
#endif
