extension QuorumStore {
  /// The members that have the keys: leases that the same members have are decided by the same answers.
  func route(of claim: Claim) -> Int {
    let record = claims.withLock { $0[claim.token] }
    return record?.holders.reduce(0) { $0 | 1 << $1 } ?? 0
  }

  func extend(
    _ extensions: [Extension], numbers: Int, by deadline: Instant,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void
  ) {
    let known = claims.withLock { claims in extensions.map { claims[$0.claim.token] } }
    let patience = patience(with: extensions)
    // A lease without a record has ended.
    let places = known.indices.filter { known[$0] != nil }
    guard places.count < extensions.count else {
      return QuorumExtender(
        extensions, of: known.compactMap(\.self), numbers: numbers, by: deadline,
        patience: patience, in: self, completion: completion
      ).start()
    }
    guard !places.isEmpty else {
      return completion(
        .success(
          Extended(
            sentAt: clock.now, outcomes: extensions.map { _ in .notAsked }, numbers: 0..<0)))
    }
    QuorumExtender(
      places.map { extensions[$0] }, of: known.compactMap(\.self), numbers: numbers, by: deadline,
      patience: patience, in: self
    ) { result in
      completion(result.map { $0.spread(over: extensions.count, at: places) })
    }.start()
  }

  /// Until when those leases of a batch that have an outcome wait for the others.
  ///
  /// If one depends on a server that does not answer, the others must have theirs before they end.
  private func patience(with extensions: [Extension]) -> Instant {
    let now = clock.now
    guard let end = extensions.lazy.map(\.leaseEnd).min(), now < end else { return now }
    return now + now.duration(to: end) / 2
  }

  /// Puts the keys of a lease on a member that does not have them, while a majority has them.
  ///
  /// Otherwise a lock that is held for long would not survive that two servers are restarted, one after the other.
  /// A server that may have forgotten locks may get this one: the majority shows that there was no other.
  func repair(_ record: QuorumClaim, _ lease: Extension, at member: Int) {
    let claim = lease.claim
    guard lease.terms.isWanted else { return }
    // Nothing else may ask a member that was away when the lock was taken; a later extension finds it connected.
    guard members[member].isConnected else { return reconnect(member) }
    guard let server = server(of: member), record.begin(at: member, in: server) else { return }
    let deadline = clock.now + min(operationTimeout, claim.ttl)
    start(record, at: member, .inquire(numbers: 1), by: deadline) { [self] answer in
      // Its counter may be lost as well.
      guard case .success(.held) = answer, record.fence > 0 else { return }
      members[member].raiseFence(above: record.fence, for: claim, by: deadline) { _ in }
    }
  }

  /// Has a member connect again, by one request at a time: its connection decides how often to try.
  private func reconnect(_ member: Int) {
    guard reconnecting.withLock({ $0.insert(member).inserted }) else { return }
    members[member].reconnect(by: clock.now + operationTimeout) { [self] in
      reconnecting.withLock { _ = $0.remove(member) }
    }
  }

  func release(
    _ release: Release, by deadline: Instant,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void
  ) {
    let record = claims.withLock { $0.removeValue(forKey: release.claim.token) }
    // If an attempt before this one got no answer, any of them may have the keys.
    var holders = Array(members.indices)
    if let record {
      let end = record.end()
      for task in end.tasks { task.cancel() }
      holders = end.holders
      // No party can take the keys over from it any more.
      freeFormer(of: record, except: holders)
    }
    QuorumReleaser(release, from: holders, by: deadline, in: self, completion: completion).start()
  }
}

extension Extended {
  /// The outcomes of some extensions, among others that were not asked.
  fileprivate func spread(over count: Int, at places: [Int]) -> Self {
    var all = Array(repeating: Outcome.notAsked, count: count)
    var left: [Int: Duration] = [:]
    for (index, place) in places.enumerated() {
      all[place] = outcomes[index]
      left[place] = remaining[index]
    }
    return Self(sentAt: sentAt, outcomes: all, numbers: numbers, remaining: left)
  }
}

/// One release by a quorum: the requests to its members, and what comes of them.
final class QuorumReleaser: Sendable {
  private struct State {
    var tally: QuorumTally
    var holder: String?
    var isContended = false
    var isConcluded = false
  }

  private let store: QuorumStore
  private let release: Release
  private let holders: [Int]
  private let deadline: Instant
  private let completion: @Sendable (Result<ReleaseReport, StoreFailure>) -> Void
  private let state: Locked<State>

  init(
    _ release: Release, from holders: [Int], by deadline: Instant, in store: QuorumStore,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void
  ) {
    self.store = store
    self.release = release
    self.holders = holders
    self.deadline = deadline
    self.completion = completion
    var tally = QuorumTally(
      connected: store.members.indices.map {
        holders.contains($0) && store.members[$0].isConnected
      })
    for member in store.members.indices where !holders.contains(member) {
      tally.note(.no, of: member)
    }
    state = Locked(State(tally: tally))
  }

  func start() {
    let release = release.unawaited
    for member in holders {
      store.members[member].release(release, by: deadline) { [self] result in
        answered(result, by: member)
      }
    }
    conclude { _ in }
  }

  private func answered(_ result: Result<ReleaseReport, StoreFailure>, by member: Int) {
    let (server, isForgetful) = (store.server(of: member), store.mayHaveForgotten(member))
    conclude { state in
      switch result {
      case .success(let report):
        // What a restarted server has forgotten was not another's meanwhile: no lock counts by its keys there.
        let isOwn = report.outcome == .released || isForgetful
        state.tally.note(isOwn ? .yes(by: server) : .no, of: member)
        state.isContended = state.isContended || report.isContended
        if !isOwn { state.holder = report.holder ?? state.holder }
      case .failure(let failure): state.tally.note(.failure(failure), of: member)
      }
    }
  }

  /// Notes an answer, and completes as soon as there is an outcome.
  private func conclude(_ note: @Sendable (inout State) -> Void) {
    let result: Result<ReleaseReport, StoreFailure>? = state.withLock { state in
      note(&state)
      guard !state.isConcluded, let outcome = outcome(state) else { return nil }
      state.isConcluded = true
      return outcome
    }
    if let result { completion(result) }
  }

  private func outcome(_ state: State) -> Result<ReleaseReport, StoreFailure>? {
    let tally = state.tally
    if tally.isBeaten {
      return .success(
        ReleaseReport(
          outcome: state.holder == nil ? .deleted : .takenByAnother,
          isContended: state.isContended, holder: state.holder))
    }
    switch tally.outcome {
    case .open: return nil
    case .carried:
      return .success(ReleaseReport(outcome: .released, isContended: state.isContended))
    case .declined, .unanswered:
      return .failure(
        tally.failure("released the lock", count: tally.yesCount, names: store.names))
    }
  }
}
