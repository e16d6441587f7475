import ArgumentParser

/// The scenarios that can be measured.
enum Scenario: String, CaseIterable, ExpressibleByArgument, Codable {
  case uncontended
  case throughput
  case handoff
  case `extension`
  case growth
  case distance
  case work
  case encryption
  case cluster

  /// The heading of its table.
  var title: String {
    switch self {
    case .uncontended: "S1 Uncontended: one task takes and releases one key"
    case .throughput: "S2 Throughput: tasks take and release keys of their own"
    case .handoff: "S3 Handoff: all contend for one key, hold it for 1 ms and think for 5 ms"
    case .extension: "S4 Extension: locks held with a ttl of 3 s, extended every second"
    case .growth: "S5 Growth: S1 while other locks are held or have waiters"
    case .distance: "S6 Distance: S2 and S3 with 1 ms added to the round-trip time"
    case .work: "S7 Work: counts of the client's work for a pair of S1 and of S2"
    case .encryption: "S8 Encryption: S1 and S2 over TLS, beside TCP without it"
    case .cluster: "S9 Cluster: S2 on clusters, beside one server"
    }
  }

  /// The cases, with their goals.
  func cases(pairs: Int) -> [Case] {
    switch self {
    case .uncontended:
      [
        Case(
          name: "1 task", job: .pairs(count: pairs), minimumSeconds: 30,
          goals: [.atLeast(.pairsPerSecond, 0.72, of: .floor)])
      ]
    case .throughput:
      Self.throughputCases
    case .handoff:
      [8, 64].map(Self.handoff(processes:)) + [8, 64, 1000].map(Self.handoff(tasks:))
    case .extension:
      [
        Case(name: "1,000 locks", job: .hold(locks: 1000)),
        Case(
          name: "10,000 locks", job: .hold(locks: 10_000),
          goals: [.atMost(.clientShare, 2.5), .atMost(.locksLost, 0)]),
        Case(
          name: "100,000 locks", job: .hold(locks: 100_000),
          goals: [.atMost(.clientShare, 25), .atMost(.locksLost, 0), .atMost(.locksNotTaken, 0)]),
      ]
    case .growth:
      Self.growth(pairs: max(1, pairs / 10))
    case .distance:
      Self.distanceCases
    case .work:
      [
        Case(
          name: "1 task", job: .pairs(count: pairs / 2), counts: true, minimumSeconds: 30,
          goals: [.atMost(.allocations, 20), .atMost(.references, 250)]),
        Case(
          name: "64 tasks", job: .throughput(tasks: 64), counts: true,
          goals: [.atMost(.allocations, 20), .atMost(.references, 250)]),
      ]
    case .encryption:
      [Job.pairs(count: pairs / 2), .throughput(tasks: 64)].flatMap(Self.encryption)
    case .cluster:
      [64, 1000].flatMap(Self.cluster)
    }
  }

  /// Whether it needs more than one server that takes connections without TLS.
  var needsOwnServers: Bool { self == .encryption || self == .cluster }

  private static var throughputCases: [Case] {
    let cases: [(Placement, tasks: Int, goal: Double?)] = [
      (.oneCore, 64, 0.40), (.oneCore, 1000, 0.36), (.unpinned, 64, nil), (.unpinned, 1000, 0.65),
    ]
    return cases.map { placement, tasks, goal in
      Case(
        name: "\(tasks.text) tasks", job: .throughput(tasks: tasks), placement: placement,
        goals: goal.map { [.atLeast(.pairsPerSecond, $0, of: .floor)] } ?? [])
    }
  }

  private static func handoff(processes: Int) -> Case {
    var goals = [Goal.atMost(.gapP50, 3, of: .floor)]
    if processes == 64 {
      goals += [.atMost(.commandsPerHandoff, 4), .atLeast(.fewestToMost, 0.8)]
    }
    return Case(
      name: "\(processes) processes", job: .handoff(tasks: 1), processes: processes, goals: goals)
  }

  private static func handoff(tasks: Int) -> Case {
    Case(
      name: "\(tasks.text) tasks", job: .handoff(tasks: tasks),
      // At least three laps.
      minimumSeconds: Double(tasks) * 0.004,
      goals: [.atMost(.gapP50, 12), .atLeast(.fewestToMost, 0.9)])
  }

  private static func growth(pairs: Int) -> [Case] {
    let flat: [Goal] = [
      // 1 / 1.2, for the mean, which also shows bursts.
      .atLeast(.pairsPerSecond, 0.83, of: .firstCase),
      .atMost(.acquireP50, 1.2, of: .firstCase), .atMost(.releaseP50, 1.2, of: .firstCase),
    ]
    return [
      Case(name: "nothing else", job: .pairs(count: pairs)),
      Case(
        name: "10,000 locks held", job: .pairs(count: pairs), crowd: Crowd(held: 10_000),
        goals: flat),
      Case(
        name: "100,000 locks held", job: .pairs(count: pairs), crowd: Crowd(held: 100_000),
        goals: flat),
      Case(
        name: "10,000 waiters", job: .pairs(count: pairs), crowd: Crowd(waiters: 10_000),
        goals: flat),
    ]
  }

  /// A job without TLS and with it; only the library has that.
  private static func encryption(_ job: Job) -> [Case] {
    let name = if case .throughput(let tasks) = job { "\(tasks.text) tasks" } else { "1 task" }
    return [
      Case(name: name, job: job, contestants: [.library], minimumSeconds: 3),
      Case(
        name: "\(name), TLS", job: job, contestants: [.library], isEncrypted: true,
        minimumSeconds: 3, goals: [.atLeast(.pairsPerSecond, 0.7, of: .caseBefore)]),
    ]
  }

  /// Tasks on one server, and on clusters of several sizes; only the library can use those.
  private static func cluster(tasks: Int) -> [Case] {
    [(nil, "one server"), (3, "3 masters"), (1, "1 master"), (6, "6 masters")].map {
      masters, servers in
      Case(
        name: "\(tasks.text) tasks, \(servers)", job: .throughput(tasks: tasks),
        contestants: [.library], masters: masters, placement: .unpinned,
        goals: masters == 3 ? [.atMost(.clientPerPair, 1.15, of: .caseBefore)] : [])
    }
  }

  private static var distanceCases: [Case] {
    let roundTrip = Duration.milliseconds(1)
    return [64, 1000].map { tasks in
      Case(
        name: "\(tasks.text) tasks", job: .throughput(tasks: tasks), placement: .unpinned,
        roundTrip: roundTrip)
    } + [
      Case(
        name: "8 processes", job: .handoff(tasks: 1), processes: 8,
        roundTrip: roundTrip, goals: [.atMost(.gapP50, 1250)])
    ]
  }
}
