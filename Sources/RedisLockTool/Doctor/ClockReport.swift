#if CommandLineTool
  import AsyncRedisLock

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// How far the clocks of other servers are off.
  struct ClockReport: Sendable {
    private var asked = 0
    private var differences: [String] = []

    /// Notes a server's time, in milliseconds, that came after a round trip at an instant; nil if it does not tell.
    mutating func note(
      _ time: Int64?, of name: String, after roundTrip: Duration, at instant: Date
    ) {
      guard let time else { return }
      asked += 1
      let middle = instant.addingTimeInterval(-(roundTrip / .seconds(1)) / 2)
      let ahead = Date(milliseconds: time).timeIntervalSince(middle)
      guard abs(ahead) >= 1 else { return }
      let size = Duration.seconds(abs(ahead)).rounded.text
      differences.append("\(name) is \(size) \(ahead > 0 ? "ahead of" : "behind") this host's")
    }

    /// The finding, beside the primary's own; nil if no other server was asked.
    var finding: Finding? {
      guard asked > 0 else { return nil }
      guard differences.isEmpty else {
        return Finding(
          .warning, "clocks",
          differences.joined(separator: ", ")
            + ": if a server that is behind takes over, fencing tokens may fall back"
        )
      }
      return Finding(
        .fine, "clocks", "\(asked) \(asked == 1 ? "other server agrees" : "other servers agree")")
    }

    /// The time in an answer to `TIME`, or to `INFO server`, which sentinels know.
    static func milliseconds(_ reply: Reply?) -> Int64? {
      switch reply {
      case .array(let parts)?:
        guard parts.count == 2, case .string(let seconds) = parts[0],
          case .string(let microseconds) = parts[1], let seconds = Int64(seconds),
          let microseconds = Int64(microseconds), (0...Int64(UInt32.max)).contains(seconds)
        else { return nil }
        return seconds * 1000 + microseconds / 1000
      case .string(let text)?:
        return ServerInformation(text)["server_time_usec"].flatMap { Int64($0) }.map { $0 / 1000 }
      default: return nil
      }
    }
  }
#endif
