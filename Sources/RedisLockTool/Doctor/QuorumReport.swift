#if CommandLineTool
  import AsyncRedisLock

  /// What the doctor knows of one server of a quorum, and what that means for all of them.
  struct QuorumReport: Sendable {
    let name: String
    /// Why it cannot be asked; nil if it can.
    var trouble: ToolFailure?
    /// The findings on the server alone.
    var findings: [Finding] = []
    /// The identity of its process, and how long that has run, if it tells.
    var runID: String?
    var uptime: Duration?
    /// How far its clock is ahead of this host's, in seconds; nil if it does not tell.
    var ahead: Double?

    /// Notes what a server says about itself: `INFO`, and `CONFIG GET appendfsync`.
    mutating func note(_ info: Reply, _ appendfsync: Reply?, _ delay: Duration) {
      guard let information = ServerInformation(info) else {
        findings.append(
          Finding(
            .problem, "server",
            "\(info.refusalOfInfo), without which no server of a quorum gets locks"))
        return
      }
      runID = information["run_id"]
      uptime = information["uptime_in_seconds"].flatMap { Int64($0) }
        .map { .seconds(max($0, 0)) }
      findings += [
        role(information), start(delay), persistence(information, appendfsync, delay),
      ].compactMap(\.self)
    }

    private func role(_ information: ServerInformation) -> Finding? {
      if information["cluster_enabled"] == "1" {
        return Finding(.problem, "role", "this is a node of a cluster, and no server of its own")
      }
      guard let role = information["role"] else { return nil }
      guard role == "master" else {
        let primary = [information["master_host"], information["master_port"]].compactMap(\.self)
        return Finding(
          .problem, "role",
          "this is a replica of \(primary.joined(separator: ":")): a quorum needs servers of their own"
        )
      }
      guard let count = information["connected_slaves"].flatMap({ Int($0) }), count > 0 else {
        return Finding(.fine, "role", "a primary without replicas")
      }
      return Finding(
        .warning, "role",
        "a primary with \(count) \(count == 1 ? "replica" : "replicas"): if one takes over, it may have forgotten locks; let no failover happen"
      )
    }

    private func isYoung(_ delay: Duration) -> Bool {
      // The server counts whole seconds.
      uptime.map { delay > .zero && $0 < delay + .seconds(1) } ?? false
    }

    private func start(_ delay: Duration) -> Finding? {
      guard let uptime, isYoung(delay) else { return nil }
      return Finding(
        .warning, "start",
        "started \(uptime.text) ago: it gets new locks only after \(delay.text), since it may have forgotten others"
      )
    }

    private func persistence(
      _ information: ServerInformation, _ reply: Reply?, _ delay: Duration
    ) -> Finding? {
      guard let isAppending = information["aof_enabled"].map({ $0 == "1" }) else { return nil }
      var policy: String?
      if case .array(let fields)? = reply, fields.count == 2, case .string(let text) = fields[1] {
        policy = text.safeToShow
      }
      if isAppending, policy == "always" {
        return Finding(.fine, "persistence", "appendonly, with appendfsync always")
      }
      let what =
        isAppending ? policy.map { "appendonly, with appendfsync \($0)" } : "no appendonly"
      guard delay == .zero else {
        return Finding(
          .fine, "persistence",
          "\(what ?? "appendonly"): after a restart, it gets no new locks for \(delay.text)")
      }
      return Finding(
        .warning, "persistence",
        "\(what ?? "appendonly, and this user may not ask for appendfsync"): without a restart delay, two may hold a lock after a crash; set appendonly yes and appendfsync always"
      )
    }

    // MARK: All servers

    /// The findings on each server, and on all of them together.
    static func findings(on reports: [Self], restartDelay: Duration) -> [Finding] {
      var findings: [Finding] = []
      for report in reports {
        if let trouble = report.trouble {
          findings.append(
            Finding(.warning, "server", trouble.description, server: report.name))
        }
        findings += report.findings.map { $0.about(report.name) }
      }
      return findings + [independence(of: reports), clocks(of: reports)].compactMap(\.self) + [
        majority(of: reports, restartDelay)
      ]
    }

    /// Those that lead to a server before, by the process of which they are known.
    private static func repetitions(in reports: [Self]) -> [(name: String, other: String)] {
      reports.indices.compactMap { index in
        guard let id = reports[index].runID,
          let other = reports[..<index].first(where: { $0.runID == id })
        else { return nil }
        return (reports[index].name, other.name)
      }
    }

    private static func independence(of reports: [Self]) -> Finding? {
      let repetitions = repetitions(in: reports)
      guard repetitions.isEmpty else {
        let text = repetitions.map { "\($0.name) is the same server as \($0.other)" }
        return Finding(
          .problem, "independence", text.joined(separator: ", ") + ": it counts once")
      }
      let known = reports.compactMap(\.runID).count
      guard known > 0 else { return nil }
      return Finding(.fine, "independence", "\(known) different servers")
    }

    private static func clocks(of reports: [Self]) -> Finding? {
      let known = reports.compactMap { report in report.ahead.map { (report.name, $0) } }
      guard let first = known.min(by: { $0.1 < $1.1 }), let last = known.max(by: { $0.1 < $1.1 }),
        known.count > 1
      else { return nil }
      let spread = Duration.seconds(last.1 - first.1)
      guard spread >= .seconds(1) else {
        return Finding(.fine, "clocks", "\(known.count) agree")
      }
      return Finding(
        .warning, "clocks",
        "\(last.0) is \(spread.rounded.text) ahead of \(first.0): if servers lose their data, fencing tokens may fall back; and a clock that is set ends locks"
      )
    }

    /// Whether its vote counts now.
    private func isUsable(_ delay: Duration) -> Bool {
      trouble == nil && !isYoung(delay) && !findings.contains { $0.level == .problem }
    }

    /// How many servers can have a vote in a new lock.
    static func usableCount(_ reports: [Self], _ delay: Duration) -> Int {
      let repeated = Set(repetitions(in: reports).map(\.name))
      return reports.count { $0.isUsable(delay) && !repeated.contains($0.name) }
    }

    private static func majority(of reports: [Self], _ delay: Duration) -> Finding {
      let (count, usable) = (reports.count, usableCount(reports, delay))
      let majority = count / 2 + 1
      let text = "\(majority) of \(count) servers have to agree, and \(usable) can"
      guard usable >= majority else {
        return Finding(.problem, "quorum", text + ": no lock can be acquired")
      }
      let spare = usable - majority
      let limit = spare == 0 ? "none may fail" : "\(spare) may fail"
      return Finding(usable == count ? .fine : .warning, "quorum", "\(text): \(limit)")
    }
  }
#endif
