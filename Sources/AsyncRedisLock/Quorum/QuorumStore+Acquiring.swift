extension QuorumStore {
  func acquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await take(
      .acquire(numbers: numbers), in: beginAttempt(claim, numbers: numbers, by: deadline))
  }

  func inquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try await take(
      .inquire(numbers: numbers), in: beginAttempt(claim, numbers: numbers, by: deadline))
  }

  func adopt(
    _ claim: Claim, from token: String, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    let attempt = beginAttempt(claim, from: token, numbers: numbers, by: deadline)
    do throws(StoreFailure) {
      // A server that still has the former token has not forgotten it.
      return try await take(.adopt(from: token, numbers: numbers), in: attempt, isNew: false)
    } catch {
      if !attempt.record.isRestored { freeFormer(of: attempt.record) }
      throw error
    }
  }

  private func beginAttempt(
    _ claim: Claim, from former: String? = nil, numbers: Int, by deadline: Instant
  ) -> QuorumAttempt {
    let record = QuorumClaim(claim, from: former, memberCount: members.count)
    claims.withLock { $0[claim.token] = record }
    return QuorumAttempt(record, numbers: numbers, by: deadline, in: self)
  }

  /// Asks all members for keys at once; returns when a majority has decided.
  ///
  /// `isNew` tells that a server must not be asked that may have forgotten another holder.
  private func take(
    _ question: KeyQuestion, in attempt: QuorumAttempt, isNew: Bool = true
  ) async throws(StoreFailure) -> Acquisition {
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
    if members[member].isConnected,
      let failure = unknownRun(of: member, isAsked: false)
        ?? (isNew ? objection(to: member, at: clock.now) : nil)
    {
      return attempt.answered(.failure(failure), by: member)
    }
    guard record.begin(at: member, in: server(of: member)) else {
      return attempt.answered(.failure(.cancelled), by: member)
    }
    start(record, at: member, question, by: attempt.deadline) { [self] answer in
      flaw(of: answer, from: member, token: record.claim.token)
    } _: { [self] answer in
      // Nothing is left to undo there. Otherwise the order of the answers could decide whether a lock that was left is
      // used up. A request for a new lock does not wait: it could hold others up that have a part of the servers.
      if record.former != nil, case .failure(let failure) = answer,
        failure.isTransient(until: attempt.deadline, at: clock.now)
      {
        return attempt.afterPause(at: member) { [self] in
          ask(member, question, isNew: isNew, attempt)
        }
      }
      guard isNew, case .success(let acquisition) = answer,
        let failure = objection(to: member, at: acquisition.sentAt ?? clock.now)
      else { return attempt.answered(answer, by: member) }
      // It keeps the keys, as if they had been put there once the others have made the lock. If they do not make it,
      // all is undone.
      attempt.answered(.failure(failure), by: member)
    }
  }

  /// Why an answer must not count at all; nil if it may.
  private func flaw(
    of answer: Acquisition, from member: Int, token: String
  ) -> StoreFailure? {
    switch answer {
    case .contended(let state):
      // The token came to the server by another connection before.
      return state.holder == token ? QuorumTally.sameServer : nil
    case .held(_, let drawn):
      if isFencing, drawn.isEmpty { return .unintelligible("there is no fencing token") }
      return unknownRun(of: member, isAsked: true)
    }
  }

  /// Why a member's server must not be counted: it might be the same as another one.
  private func unknownRun(of member: Int, isAsked: Bool) -> StoreFailure? {
    switch members[member].serverRun {
    case nil: isAsked ? .unreachable("the server has not told its run_id") : nil
    case .failure(let failure): failure
    case .success: nil
    }
  }

  /// Whether a member's server was started so lately that it has given its votes to no other holder since.
  ///
  /// If it lacks the keys of a lock then, it has forgotten them, and the lock may be as valid as before.
  func mayHaveForgotten(_ member: Int) -> Bool { objection(to: member, at: clock.now) != nil }

  /// Why a member's server must get no new locks at an instant; nil if it may.
  ///
  /// A server that was restarted may have forgotten locks that are still valid.
  private func objection(to member: Int, at instant: Instant) -> StoreFailure? {
    guard restartDelay > .zero, case .success(let run) = members[member].serverRun else {
      return nil
    }
    let age = max(run.startedBy.duration(to: instant), .zero)
    guard age < restartDelay else { return nil }
    return .unreachable(
      "the server was started \(age.roundedForMessage) ago, and gets new locks only after "
        + restartDelay.roundedForMessage)
  }
}

extension Acquisition {
  fileprivate var sentAt: Instant? { if case .held(let sentAt, _) = self { sentAt } else { nil } }
}

/// One attempt to take keys, whose requests outlive it.
final class QuorumAttempt: Sendable {
  let record: QuorumClaim
  let promise = Promise<Result<Acquisition, StoreFailure>>()
  private let store: QuorumStore
  let deadline: Instant
  private let state: Locked<QuorumAcquisition>
  /// What waits until members that could not answer are asked again.
  private let pauses = Locked<[Int: any WakeTimer]>([:])

  init(_ record: QuorumClaim, numbers: Int, by deadline: Instant, in store: QuorumStore) {
    self.record = record
    self.store = store
    self.deadline = deadline
    state = Locked(
      QuorumAcquisition(
        names: store.names,
        // A lock that was left may be used up, so each server is waited for that could give it.
        connected: store.members.map { $0.isConnected || record.former != nil },
        isFencing: store.isFencing, count: numbers, isTakingOver: record.former != nil))
  }

  /// Whether a failure leaves the keys to the token that they were to be taken over from, for the next attempt.
  ///
  /// That is so if a majority has refused: it still has that token. If a majority had answered, another party could be
  /// taking them over.
  private func restores(after failure: StoreFailure) -> Bool {
    guard record.former != nil else { return false }
    return failure.isTransient || failure.isRefusal && !state.withLock { $0.hasMajority }
  }

  /// Calls a function after the pause of a member that could not answer just then.
  func afterPause(at member: Int, _ body: @escaping @Sendable () -> Void) {
    let timer = store.clock.makeTimer { [self] in
      pauses.withLock { $0[member] = nil }
      body()
    }
    pauses.withLock { $0[member] = timer }
    timer.set(for: store.clock.now + StoreFailure.transientPause)
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
    switch result {
    case .success(.held): break
    case .success(.contended): store.giveUp(record)
    case .failure(let failure): store.giveUp(record, restores: restores(after: failure))
    }
    promise.fulfil(result)
  }
}
