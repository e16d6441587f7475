/// One request of a quorum to extend leases: the requests to its members, and what comes of them.
final class QuorumExtender: Sendable {
  private struct State {
    var leases: [QuorumExtension]
    /// The earliest instant from which an extension counts.
    var sentAt: Instant?
    var remaining: [Int: Duration] = [:]
    /// The counters to raise, if fencing tokens were drawn.
    var fence: QuorumTally?
    var numbers: Range<UInt64> = 0..<0
    var isConcluded = false
    /// The leases that had no outcome when the request was concluded; their answers count all the same.
    var open: [Int] = []
    var isTimed = false
    var timer: (any WakeTimer)?
  }

  /// What to do next, outside of the mutex.
  private struct Work {
    var repairs: [(lease: Int, member: Int)] = []
    var raises = false
    var result: Result<Extended, StoreFailure>?
    var lost: [Int] = []
    /// Leases that turn out to be extended after the request was concluded.
    var late: [(lease: Int, sentAt: Instant, remaining: Duration?)] = []
    var startsTimer = false
    /// A timer that is needed no more.
    var timer: (any WakeTimer)?
  }

  private let store: QuorumStore
  private let extensions: [Extension]
  private let records: [QuorumClaim]
  /// How many fencing tokens to draw; zero unless there is one lease.
  private let count: Int
  private let deadline: Instant
  private let patience: Instant
  private let completion: @Sendable (Result<Extended, StoreFailure>) -> Void
  private let state: Locked<State>

  /// Creates a request to members by a deadline; from `patience` on, those leases that have an outcome do not wait for
  /// others.
  init(
    _ extensions: [Extension], of records: [QuorumClaim], numbers: Int, by deadline: Instant,
    patience: Instant, in store: QuorumStore,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void
  ) {
    self.store = store
    self.extensions = extensions
    self.records = records
    count = store.isFencing && extensions.count == 1 ? numbers : 0
    self.deadline = deadline
    self.patience = patience
    self.completion = completion
    let connected = store.members.map(\.isConnected)
    state = Locked(
      State(
        leases: records.map { QuorumExtension(standings: $0.standings, connected: connected) }))
  }

  /// Asks each member for those leases whose keys it has.
  func start() {
    for (record, one) in zip(records, extensions) { record.noteExtension(by: one.ttl) }
    var places: [[Int]] = store.members.map { _ in [] }
    for (place, record) in records.enumerated() {
      for member in record.holders { places[member].append(place) }
    }
    for member in places.indices where !places[member].isEmpty {
      let asked = places[member]
      store.members[member].extend(asked.map { extensions[$0] }, numbers: count, by: deadline) {
        [self] result in answered(result, of: asked, by: member)
      }
    }
    // If no member has the keys of a lease, no answer comes.
    act(on: state.withLock { next(&$0) })
  }

  private func answered(_ result: Result<Extended, StoreFailure>, of asked: [Int], by member: Int) {
    let (server, isForgetful) = (store.server(of: member), store.mayHaveForgotten(member))
    let work = state.withLock { state in
      switch result {
      case .success(let extended):
        for (index, place) in asked.enumerated() {
          let outcome = extended.outcomes[index]
          if outcome.isLoss, isForgetful {
            state.leases[place].wasForgotten(by: member)
            continue
          }
          if outcome == .ours {
            state.sentAt = min(state.sentAt ?? extended.sentAt, extended.sentAt)
          }
          state.leases[place].answered(
            .success(outcome), by: member, server: server, numbers: extended.numbers)
          if let left = extended.remaining[index] {
            state.remaining[place] = max(state.remaining[place] ?? left, left)
          }
        }
      case .failure(let failure):
        for place in asked {
          state.leases[place].answered(
            .failure(failure), by: member, server: server, numbers: 0..<0)
        }
      }
      return next(&state)
    }
    if case .success(let extended) = result {
      for (index, place) in asked.enumerated() {
        switch extended.outcomes[index] {
        case .deleted where isForgetful, .taken where isForgetful: break
        case .deleted, .taken: _ = records[place].noteLoss(at: member)
        case .ours, .notAsked, .unconfirmed: break
        }
      }
    }
    act(on: work)
  }

  /// Decides what to do after an answer.
  private func next(_ state: inout State) -> Work {
    var work = Work()
    for place in state.leases.indices {
      for member in state.leases[place].takeRepairs() { work.repairs.append((place, member)) }
    }
    guard !state.isConcluded else {
      noteLate(&state, &work)
      return work
    }
    let open = state.leases.indices.filter { state.leases[$0].outcome == nil }
    guard open.isEmpty || mayConclude(without: open, &state, &work) else { return work }
    state.open = open
    if count > 0, state.fence == nil, state.leases[0].outcome == .ours,
      let numbers = drawn(state.leases[0].numbers)
    {
      state.numbers = numbers
      state.fence = QuorumTally(connected: store.members.map { _ in true })
      work.raises = true
      return work
    }
    conclude(&state, &work)
    return work
  }

  /// Whether to conclude while some leases have no outcome: if others have waited for that long enough.
  ///
  /// An earlier end of the wait would help none of them.
  private func mayConclude(without open: [Int], _ state: inout State, _ work: inout Work) -> Bool {
    guard open.count < state.leases.count else { return false }
    if patience <= store.clock.now { return true }
    work.startsTimer = !state.isTimed
    state.isTimed = true
    return false
  }

  /// Takes out the leases that a majority has extended after the request was concluded.
  private func noteLate(_ state: inout State, _ work: inout Work) {
    guard let sentAt = state.sentAt else { return }
    for place in state.open where state.leases[place].outcome == .ours {
      work.late.append((place, sentAt, state.remaining[place]))
    }
    state.open.removeAll { state.leases[$0].outcome != nil }
  }

  /// The fencing tokens to use; nil unless a majority has drawn some.
  private func drawn(_ numbers: [Range<UInt64>]) -> Range<UInt64>? {
    guard numbers.count >= store.majority, let largest = numbers.map(\.lowerBound).max(),
      largest <= 1 << 53 - 1 - UInt64(count)
    else { return nil }
    return largest..<largest + UInt64(count)
  }

  private func conclude(_ state: inout State, _ work: inout Work) {
    var numbers = state.numbers
    if let fence = state.fence {
      switch fence.outcome {
      case .open: return
      case .carried: break
      case .declined, .unanswered: numbers = 0..<0
      }
    }
    state.isConcluded = true
    work.timer = state.timer.take()
    let outcomes = state.leases.map { $0.outcome ?? .unconfirmed }
    work.lost = outcomes.indices.filter { outcomes[$0].isLoss }
    if outcomes.contains(.unconfirmed),
      outcomes.allSatisfy({ [.unconfirmed, .notAsked].contains($0) }),
      let unknown = state.leases.first(where: \.isUnknown)
    {
      work.result = .failure(unknown.failure(names: store.names))
    } else {
      work.result = .success(
        Extended(
          sentAt: state.sentAt ?? store.clock.now, outcomes: outcomes, numbers: numbers,
          remaining: state.remaining))
    }
  }

  private func act(on work: Work) {
    work.timer?.cancel()
    if work.raises { raise() }
    if work.startsTimer { startTimer() }
    for (place, sentAt, remaining) in work.late {
      extensions[place].confirmLate(sentAt: sentAt, remaining: remaining)
    }
    for (place, member) in work.repairs {
      _ = records[place].noteLoss(at: member)
      store.repair(records[place], extensions[place], at: member)
    }
    // First the holder learns of a loss, and then others may get what is left of the lock.
    if let result = work.result { completion(result) }
    for place in work.lost { store.giveUp(records[place]) }
  }

  /// Looks again when the leases with an outcome have waited for long enough.
  private func startTimer() {
    let timer = store.clock.makeTimer { [self] in act(on: state.withLock { next(&$0) }) }
    timer.set(for: patience)
    let isNeeded = state.withLock { state in
      if !state.isConcluded { state.timer = timer }
      return !state.isConcluded
    }
    if !isNeeded { timer.cancel() }
  }

  private func raise() {
    let holders = records[0].holders
    let number = state.withLock { state in
      for member in store.members.indices where !holders.contains(member) {
        state.fence?.note(.no, of: member)
      }
      return state.numbers.upperBound - 1
    }
    records[0].noteFence(number)
    for member in holders {
      store.members[member].raiseFence(above: number, for: records[0].claim, by: deadline) {
        [self] answer in
        let server = store.server(of: member)
        let work = state.withLock { state in
          switch answer {
          case .success(true): state.fence?.note(.yes(by: server), of: member)
          case .success(false): state.fence?.note(.no, of: member)
          case .failure(let failure): state.fence?.note(.failure(failure), of: member)
          }
          return next(&state)
        }
        act(on: work)
      }
    }
  }
}

extension Extended.Outcome {
  fileprivate var isLoss: Bool {
    switch self {
    case .deleted, .taken: true
    case .ours, .notAsked, .unconfirmed: false
    }
  }
}
