/// One measurement, for all contestants that can take part.
struct Case {
  var name: String
  var job: Job
  var contestants = Contestant.allCases
  var crowd = Crowd()
  /// How many masters the cluster has; nil for a server that is in none.
  var masters: Int?
  var placement = Placement.oneCore
  /// How many workers share the job.
  var processes = 1
  /// The time that a proxy adds to every round trip.
  var roundTrip: Duration?
  /// Whether the connections use TLS.
  var isEncrypted = false
  /// Whether to count allocations and references, which itself takes time.
  var counts = false
  /// How long a round must last at least to be meaningful.
  var minimumSeconds = 0.0
  var goals: [Goal] = []

  /// The number of contenders for a lock.
  var contenders: Int {
    if case .handoff(let tasks) = job { processes * tasks } else { 0 }
  }

  var isHandoff: Bool { contenders > 0 }

  var isPairs: Bool {
    switch job {
    case .pairs, .throughput: true
    case .handoff, .hold: false
    }
  }
}
