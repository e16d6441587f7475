#if CommandLineTool
  import AsyncRedisLock

  /// What one sentinel says about the primary.
  struct SentinelReport: Sendable, Equatable {
    let sentinel: LockerConfiguration.Address.Sentinel
    /// Why there is no answer; nil if there is one.
    var trouble: String?
    /// The primary that it names; nil if it knows none.
    var primary: LockerConfiguration.Address?
    /// How many sentinels it knows, itself included; nil if it does not say.
    var knownCount: Int?
    /// How many have to agree that the primary is down.
    var quorum: Int?
    /// Why no failover is possible now; nil if one is, or if it does not say.
    var quorumTrouble: String?

    /// The commands to ask a sentinel.
    static func questions(about primary: String) -> [[String]] {
      [
        ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", primary], ["SENTINEL", "MASTER", primary],
        ["SENTINEL", "CKQUORUM", primary], ["INFO", "server"],
      ]
    }

    init(_ sentinel: LockerConfiguration.Address.Sentinel, trouble: String? = nil) {
      self.sentinel = sentinel
      self.trouble = trouble
    }

    /// Reads the replies to ``questions(about:)``.
    init(_ sentinel: LockerConfiguration.Address.Sentinel, _ replies: [Reply]) {
      self.init(sentinel)
      guard replies.count >= 3 else {
        trouble = "it does not answer"
        return
      }
      switch replies[0] {
      case .array(let parts):
        guard parts.count == 2, case .string(let host) = parts[0],
          case .string(let port) = parts[1],
          let port = UInt16(port)
        else { break }
        primary = .tcp(host: host.safeToShow, port: port)
      case .error(let error): trouble = error.message
      default: break
      }
      if case .array(let parts) = replies[1] {
        var fields: [String: String] = [:]
        for place in stride(from: 0, to: parts.count - 1, by: 2) {
          guard case .string(let name) = parts[place], case .string(let value) = parts[place + 1]
          else { continue }
          fields[name] = value
        }
        knownCount = fields["num-other-sentinels"].flatMap { UInt32($0) }.map { Int($0) + 1 }
        quorum = fields["quorum"].flatMap { Int($0) }
      }
      if case .error(let error) = replies[2], error.word == "NOQUORUM" {
        quorumTrouble = error.message
      }
    }

    /// The findings from what all sentinels of the URL say.
    static func findings(on reports: [Self], primary name: String) -> [Finding] {
      [agreement(of: reports, name), quorum(of: reports)].compactMap(\.self)
    }

    /// The primary that most sentinels name.
    static func primary(of reports: [Self]) -> LockerConfiguration.Address? {
      let named = reports.compactMap(\.primary)
      return named.max { one, other in
        named.count { $0 == one } < named.count { $0 == other }
      }
    }

    private static func agreement(of reports: [Self], _ name: String) -> Finding {
      var troubles: [String] = []
      for report in reports {
        if let trouble = report.trouble {
          // A failure to connect names the address itself.
          let isNamed = trouble.hasPrefix("\(report.sentinel): ")
          troubles.append(isNamed ? trouble : "\(report.sentinel): \(trouble)")
        } else if report.primary == nil {
          troubles.append("\(report.sentinel) knows no primary \(name.safeToShow)")
        }
      }
      let named = reports.filter { $0.primary != nil }
      if Set(named.compactMap(\.primary)).count > 1 {
        let names = named.compactMap { report in
          report.primary.map { "\(report.sentinel) names \($0)" }
        }
        return Finding(
          .warning, "sentinels", (["they disagree"] + names + troubles).joined(separator: "; "))
      }
      let what = named[safe: 0]?.primary.map { " name \($0)" } ?? " name a primary"
      let text = "\(named.count) of \(reports.count)\(what)"
      guard troubles.isEmpty else {
        return Finding(.warning, "sentinels", ([text] + troubles).joined(separator: "; "))
      }
      if let known = reports.compactMap(\.knownCount).max(), known > reports.count {
        return Finding(
          .warning, "sentinels",
          "\(text), but there are \(known): name all of them in the URL, since each may die")
      }
      return Finding(.fine, "sentinels", text)
    }

    private static func quorum(of reports: [Self]) -> Finding? {
      if let report = reports.first(where: { $0.quorumTrouble != nil }),
        let trouble = report.quorumTrouble
      {
        return Finding(
          .warning, "quorum", "no failover is possible now: \(report.sentinel) says \(trouble)")
      }
      guard let known = reports.compactMap(\.knownCount).max(),
        let quorum = reports.compactMap(\.quorum).max()
      else { return nil }
      let text = "\(quorum) of \(known) sentinels have to agree that the primary is down"
      guard known >= 3 else {
        return Finding(
          .warning, "quorum",
          "\(text), and a majority has to elect one that acts: use at least three, so that one may die"
        )
      }
      return Finding(.fine, "quorum", text)
    }
  }

  extension Array {
    fileprivate subscript(safe index: Int) -> Element? {
      indices.contains(index) ? self[index] : nil
    }
  }
#endif
