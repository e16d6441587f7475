extension QuorumStore {
  func acquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await take(claim, .acquire(numbers: numbers), numbers: numbers, by: deadline)
  }

  func inquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await take(claim, .inquire(numbers: numbers), numbers: numbers, by: deadline)
  }

  func adopt(
    _ claim: Claim, from token: String, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    do throws(StoreFailure) {
      // A server that still has the former token has not forgotten it.
      return try await take(
        claim, .adopt(from: token, numbers: numbers), numbers: numbers, by: deadline, isNew: false)
    } catch {
      // Unless the caller tries again. If a majority had answered, another party could be taking it over.
      if !error.isTransient {
        giveBackEverywhere(Claim(claim.lockKeys, token: token, ttl: claim.ttl))
      }
      throw error
    }
  }

  private func giveBackEverywhere(_ claim: Claim) {
    let release = Release(
      claim: claim, validUntil: clock.now, keysLastUntil: clock.now + claim.ttl, wasValid: false,
      isRepetition: false, isAwaited: false, keptUntil: nil, hasQueued: false)
    for member in members {
      member.release(release, by: clock.now + operationTimeout) { _ in }
    }
  }

  /// Asks all members for keys at once; returns when a majority has decided.
  ///
  /// `isNew` tells that a server must not be asked that may have forgotten another holder.
  private func take(
    _ claim: Claim, _ question: KeyQuestion, numbers: Int, by deadline: Instant, isNew: Bool = true
  ) async throws(StoreFailure) -> Acquisition {
    let record = QuorumClaim(claim, memberCount: members.count)
    claims.withLock { $0[claim.token] = record }
    let attempt = QuorumAttempt(record, numbers: numbers, by: deadline, in: self)
    let result = await withTaskCancellationHandler {
      for member in members.indices { ask(member, question, isNew: isNew, attempt) }
      return await attempt.promise.value
    } onCancel: {
      attempt.cancel()
    }
    return try result.get()
  }

  private func ask(
    _ member: Int, _ question: KeyQuestion, isNew: Bool, _ attempt: QuorumAttempt
  ) {
    let record = attempt.record
    if isNew, members[member].isConnected,
      let failure = objection(to: member, at: clock.now, isAsked: false)
    {
      return attempt.answered(.failure(failure), by: member)
    }
    guard record.begin(at: member) else {
      return attempt.answered(.failure(.cancelled), by: member)
    }
    start(record, at: member, question, by: attempt.deadline) { [self] answer in
      guard case .held(let sentAt, let drawn) = answer else { return nil }
      if isFencing, drawn.isEmpty { return .unintelligible("there is no fencing token") }
      return isNew ? objection(to: member, at: sentAt, isAsked: true) : nil
    } _: {
      attempt.answered($0, by: member)
    }
  }

  // MARK: Restarted servers

  /// Why a member's server must get no new locks at an instant; nil if it may.
  ///
  /// A server that was restarted may have forgotten locks that are still valid.
  private func objection(to member: Int, at instant: Instant, isAsked: Bool) -> StoreFailure? {
    guard restartDelay > .zero else { return nil }
    switch members[member].serverRun {
    case nil: return isAsked ? .unreachable("the server has not told its uptime") : nil
    case .failure(let failure): return failure
    case .success(let run):
      let age = max(run.startedBy.duration(to: instant), .zero)
      guard age < restartDelay else { return nil }
      return .unreachable(
        "the server was started \(age.roundedForMessage) ago, and gets new locks only after "
          + restartDelay.roundedForMessage)
    }
  }
}

/// One attempt to take keys, whose requests outlive it.
final class QuorumAttempt: Sendable {
  let record: QuorumClaim
  let promise = Promise<Result<Acquisition, StoreFailure>>()
  private let store: QuorumStore
  let deadline: Instant
  private let state: Locked<QuorumAcquisition>

  init(_ record: QuorumClaim, numbers: Int, by deadline: Instant, in store: QuorumStore) {
    self.record = record
    self.store = store
    self.deadline = deadline
    state = Locked(
      QuorumAcquisition(
        names: store.names, connected: store.members.map(\.isConnected),
        isFencing: store.isFencing, count: numbers))
  }

  /// Processes the answer of a member.
  func answered(_ answer: Result<Acquisition, StoreFailure>, by member: Int) {
    let server = store.server(of: member)
    act(on: state.withLock { $0.answered(answer, by: member, server: server) })
  }

  /// Ends the attempt because its caller has given up.
  func cancel() {
    guard state.withLock({ $0.cancel() }) else { return }
    conclude(.failure(.cancelled))
  }

  private func act(on action: QuorumAcquisition.Action) {
    switch action {
    case .none: break
    case .conclude(let result): conclude(result)
    case .raise(let number, let holders):
      record.noteFence(number)
      for member in holders {
        store.members[member].raiseFence(above: number, for: record.claim, by: deadline) {
          [self] answer in
          let server = store.server(of: member)
          act(on: state.withLock { $0.raised(answer, by: member, server: server) })
        }
      }
    }
  }

  private func conclude(_ result: Result<Acquisition, StoreFailure>) {
    // At once, and not when the caller's task gets to run: other clients wait.
    if case .success(.held) = result {} else { store.giveUp(record) }
    promise.fulfil(result)
  }
}
