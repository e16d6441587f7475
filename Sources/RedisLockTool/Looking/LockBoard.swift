#if CommandLineTool
  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// The locks of a server as a table of 80 columns.
  struct LockBoard {
    /// When each waiter was first seen, by its token: the server may not tell how long it has waited.
    private var firstSeen: [String: Date] = [:]

    private static let widths = [24, 22, 9, 9, 3, 8]
    private static let titles = ["KEY", "HOLDER", "HELD", "LEFT", "#", "WAITING"]

    /// Draws the locks, ordered by key.
    mutating func picture(of reports: [LockReport], at now: Date) -> String {
      let waiters = Set(reports.flatMap { $0.waiters ?? [] }.map(\.value))
      firstSeen = firstSeen.filter { waiters.contains($0.key) }
      for waiter in waiters where firstSeen[waiter] == nil { firstSeen[waiter] = now }
      let rows = reports.sorted { $0.key < $1.key }.map { report in
        let start = (report.waiters ?? []).compactMap { firstSeen[$0.value] }.min()
        let held = report.held?.rounded.short
        let left = report.remaining.map { Duration.seconds($0).rounded.short }
        let seen = start.map { Duration.seconds(now.timeIntervalSince($0)) }
        let waiting = seen.map { max($0, report.longestWait ?? .zero).rounded.short }
        let party = report.holder ?? report.lastRun?.holder
        let state = report.state == .held ? held ?? "" : report.state.rawValue
        return [
          report.key.safeToShow, party?.description ?? "", state,
          report.state == .free ? "" : left ?? "for ever",
          report.waiterCount.flatMap { $0 > 0 ? String($0) : nil } ?? "", waiting ?? "",
        ]
      }
      return ([Self.titles] + rows).map(Self.line).joined(separator: "\n")
    }

    private static func line(_ cells: [String]) -> String {
      let padded = zip(cells, widths).map { cell, width in
        let shown = cell.cut(toColumns: width)
        return shown + String(repeating: " ", count: width - shown.columns)
      }
      return padded.joined(separator: " ").trimmingSuffix { $0 == " " }
    }
  }

  extension String {
    fileprivate func trimmingSuffix(while isTrimmed: (Character) -> Bool) -> String {
      String(self[..<(lastIndex { !isTrimmed($0) }.map(index(after:)) ?? startIndex)])
    }
  }

  extension Duration {
    /// The duration in at most two units, such as `3m 7s`.
    fileprivate var short: String {
      let seconds = max(components.seconds, 0)
      switch seconds {
      case ..<60: return "\(seconds)s"
      case ..<3600: return "\(seconds / 60)m \(seconds % 60)s"
      case ..<86_400: return "\(seconds / 3600)h \(seconds % 3600 / 60)m"
      default: return "\(seconds / 86_400)d \(seconds % 86_400 / 3600)h"
      }
    }
  }
#endif
