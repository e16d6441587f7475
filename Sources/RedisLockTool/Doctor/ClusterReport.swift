#if CommandLineTool
  import AsyncRedisLock

  /// What one node of a cluster says about all nodes.
  struct ClusterReport: Sendable, Equatable {
    typealias Address = LockerConfiguration.Address

    static let slotCount = 16384

    /// A node in the eyes of another one.
    struct Node: Sendable, Equatable {
      let id: String
      let address: Address
      let isMaster: Bool
      /// The name of its master; nil for a master.
      let master: String?
      /// Whether others count it as failed, or suspect it.
      let hasFailed: Bool
      let slots: [ClosedRange<Int>]
      /// Slots that are on their way from it to another node.
      let leaving: [Int]
    }

    /// The node that was asked.
    let source: Address
    /// Why there is no answer; nil if there is one.
    var trouble: String?
    var nodes: [Node] = []
    /// Whether the cluster stops as a whole if slots are not served; nil if the node does not say.
    var needsFullCoverage: Bool?

    /// The commands to ask a node.
    static let questions = [
      ["CLUSTER", "NODES"], ["CONFIG", "GET", "cluster-require-full-coverage"],
    ]

    init(_ source: Address, trouble: String? = nil) {
      self.source = source
      self.trouble = trouble
    }

    /// Reads the replies to ``questions``.
    init(_ source: Address, _ replies: [Reply]) {
      self.init(source)
      switch replies.first {
      case .string(let text)?:
        nodes = text.split(whereSeparator: \.isNewline).compactMap { Node($0, askedAt: source) }
      case .error(let error)?: trouble = error.message
      default: trouble = "it does not answer"
      }
      if replies.count > 1, case .array(let fields) = replies[1], fields.count == 2 {
        needsFullCoverage = fields[1] == .string("yes")
      }
    }

    /// The addresses of the masters that have slots.
    var masters: [Node] { nodes.filter { $0.isMaster && !$0.slots.isEmpty } }

    /// How many slots have a master that is well.
    private var servedCount: Int {
      masters.filter { !$0.hasFailed }.flatMap(\.slots).reduce(0) { $0 + $1.count }
    }

    // MARK: Findings

    /// The findings from what all masters say.
    static func findings(on reports: [Self]) -> [Finding] {
      let answers = reports.filter { $0.trouble == nil }
      guard !answers.isEmpty else {
        let trouble = reports.first?.trouble ?? "no node answered"
        return [Finding(.warning, "cluster", "no node tells about the cluster: \(trouble)")]
      }
      return [
        coverage(in: answers), agreement(of: reports), moving(in: answers), failures(in: answers),
        replicas(in: answers), fullCoverage(in: answers),
      ].compactMap(\.self)
    }

    /// All nodes that one of the reports tells of, each once.
    private static func nodes(in reports: [Self], _ named: (Self) -> [Node]) -> [Node] {
      var seen: Set<String> = []
      return reports.flatMap(named).filter { seen.insert($0.id).inserted }
    }

    private static func list(_ nodes: [Node]) -> String {
      nodes.map { "\($0.address)" }.joined(separator: ", ")
    }

    private static func coverage(in reports: [Self]) -> Finding? {
      // Keys cannot be locked where one node thinks so.
      guard let worst = reports.min(by: { $0.servedCount < $1.servedCount }) else { return nil }
      let missing = slotCount - worst.servedCount
      guard missing > 0 else {
        let replicaCount = worst.nodes.count { !$0.isMaster && !$0.hasFailed }
        return Finding(
          .fine, "slots",
          "\(worst.masters.count) masters and \(replicaCount) replicas serve all \(slotCount)")
      }
      let isDisputed = reports.contains { $0.servedCount > worst.servedCount }
      let effect =
        reports.allSatisfy { $0.needsFullCoverage == false }
        ? "no lock can be acquired on their keys"
        : "no lock at all can be acquired while cluster-require-full-coverage is yes"
      return Finding(
        .problem, "slots",
        "\(missing) are served by no master\(isDisputed ? ", says \(worst.source)" : ""): \(effect)"
      )
    }

    private static func agreement(of reports: [Self]) -> Finding? {
      let silent = reports.filter { $0.trouble != nil }
      if let report = silent.first, let trouble = report.trouble {
        return Finding(.warning, "nodes", "\(report.source) does not answer: \(trouble)")
      }
      guard let first = reports.first else { return nil }
      var numbers: [String: Int] = [:]
      let owners = first.owners(&numbers)
      for other in reports {
        let others = other.owners(&numbers)
        guard let slot = owners.indices.first(where: { owners[$0] != others[$0] }) else { continue }
        return Finding(
          .warning, "nodes",
          "they disagree: \(first.source) and \(other.source) name different masters for slot \(slot), "
            + "so locks there may fail; see redis-cli --cluster check")
      }
      return Finding(.fine, "nodes", "\(reports.count) agree")
    }

    /// A number for each slot's master, or 0; `numbers` has them by name.
    private func owners(_ numbers: inout [String: Int]) -> [Int] {
      var owners = [Int](repeating: 0, count: Self.slotCount)
      for node in masters {
        let number = numbers[node.id] ?? numbers.count + 1
        numbers[node.id] = number
        for range in node.slots { for slot in range { owners[slot] = number } }
      }
      return owners
    }

    private static func moving(in reports: [Self]) -> Finding? {
      // Each node tells that of its own slots only.
      var seen: Set<Int> = []
      let moving = reports.flatMap(\.nodes)
        .flatMap { node in node.leaving.map { (slot: $0, node: node) } }
        .filter { seen.insert($0.slot).inserted }
      guard let first = moving.first else { return nil }
      return Finding(
        .warning, "moving",
        "slot \(first.slot) is on its way from \(first.node.address)"
          + (moving.count > 1 ? ", and \(moving.count - 1) others" : "")
          + ": until it is there, its waiters poll, and locks on several keys pause")
    }

    private static func failures(in reports: [Self]) -> Finding? {
      let failed = nodes(in: reports) { $0.nodes.filter(\.hasFailed) }
      guard !failed.isEmpty else { return nil }
      return Finding(.warning, "failures", "others cannot reach \(list(failed))")
    }

    /// The masters without a replica that is well.
    private var lonely: [Node] {
      masters.filter { master in !nodes.contains { $0.master == master.id && !$0.hasFailed } }
    }

    private static func replicas(in reports: [Self]) -> Finding? {
      let lonely = nodes(in: reports, \.lonely)
      guard !lonely.isEmpty else { return nil }
      return Finding(
        .warning, "replicas",
        "none for \(list(lonely)): if it fails, its locks end, and none can be acquired")
    }

    private static func fullCoverage(in reports: [Self]) -> Finding? {
      let strict = reports.filter { $0.needsFullCoverage == true }
      guard !strict.isEmpty else { return nil }
      let places = strict.map { "\($0.source)" }.joined(separator: ", ")
      let isEverywhere = strict.count == reports.count
      return Finding(
        .warning, "coverage",
        "cluster-require-full-coverage is yes\(isEverywhere ? "" : " on \(places)"): if one slot is not "
          + "served, all locks \(isEverywhere ? "" : "there ")end; set it to no")
    }
  }

  extension ClusterReport.Node {
    /// Reads a line of `CLUSTER NODES`; nil if it makes no sense.
    init?(_ line: Substring, askedAt source: LockerConfiguration.Address) {
      let words = line.split(separator: " ")
      guard words.count >= 8, let end = words[1].firstIndex(of: "@"),
        let colon = words[1][..<end].lastIndex(of: ":"),
        let port = UInt16(words[1][..<end][words[1].index(after: colon)...])
      else { return nil }
      let flags = words[2].split(separator: ",")
      id = String(words[0]).safeToShow
      // A node that has not been told its own address leaves it out.
      let host = String(words[1][..<colon]).safeToShow
      address = host.isEmpty ? source : .tcp(host: host, port: port)
      isMaster = flags.contains("master")
      master = words[3] == "-" ? nil : String(words[3])
      hasFailed = flags.contains("fail") || flags.contains("fail?")
      var (slots, leaving): ([ClosedRange<Int>], [Int]) = ([], [])
      for word in words[8...] {
        if word.hasPrefix("[") {
          guard word.contains("->-"), let slot = Int(word.dropFirst().prefix { $0 != "-" }) else {
            continue
          }
          leaving.append(slot)
        } else {
          let ends = word.split(separator: "-").compactMap { Int($0) }
          guard let first = ends.first, let last = ends.last, first <= last,
            (0..<ClusterReport.slotCount).contains(last), first >= 0
          else { continue }
          slots.append(first...last)
        }
      }
      self.slots = slots
      self.leaving = leaving
    }
  }
#endif
