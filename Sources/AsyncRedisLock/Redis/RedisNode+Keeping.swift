internal import Synchronization

extension RedisNode {
  func extend(
    _ extensions: [Extension], numbers: Int, by deadline: Instant,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void
  ) {
    let extendRequest = ExtendRequest(extensions, numbers: numbers, names: names)
    let request = Request(
      extendRequest, deadline: deadline, leaseEnd: extensions.lazy.map(\.leaseEnd).min()
    ) { [self] result in
      noteRefusal(Self.error(in: result))
      let extended: Result<Extended, StoreFailure> =
        switch result {
        case .success(let answer): extendRequest.read(answer, fences: fences)
        case .failure(let failure): .failure(StoreFailure(failure))
        }
      if case .failure(.unintelligible) = extended { connection.distrust() }
      guard acknowledger != nil, case .success(let success) = extended, success.hasExtended else {
        return completion(extended)
      }
      // A loss is told at once; the other leases of its batch ask again.
      if success.hasLost { return completion(.success(success.unconfirmed)) }
      acknowledge(on: answeringPrimary, by: deadline) { result in
        completion(result.map { success })
      }
    }
    connection.submit(request)
    // A holder that never extends its locks has little to fear.
    if !isInCluster { examineServer() }
  }

  func release(
    _ release: Release, by deadline: Instant,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void
  ) {
    guard !release.isPlain || !queueAccess.isOpen(for: release.claim.keys) else {
      return releaseInGroup(.init(release: release, deadline: deadline, completion: completion))
    }
    submit(release, by: deadline) { [self] result in
      // The notice of a grant may come after a poll that has found it. While the token has a listener, it is ignored;
      // afterwards it is given back, which must not overtake the release, or free keys that are kept.
      if release.keptUntil == nil { grantChannel.forget(release.claim.token) }
      completion(result)
    }
  }

  /// Sends a single release.
  ///
  /// `violations` is ``Connection/violationCount`` from when an earlier attempt was answered with an error. If it
  /// has grown, that error may have been another request's, and the attempt may have been carried out.
  ///
  /// `mayQueue` tells that the server has not refused the queues of this lock.
  func submit(
    _ release: Release, by deadline: Instant, violations: Int? = nil, mayQueue: Bool = true,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void
  ) {
    let claim = release.claim
    // A token that may have been in a queue shows that this one may be used.
    let queued = mayQueue && (release.hasQueued || mayHaveToldWaiters(claim))
    let repeatRelease: @Sendable (Result<Request.Answer, TransportError>, Int, Bool) -> Void = {
      [self] result, violations, mayQueue in
      // The server may have done it before it hung up, and may refuse now for another reason.
      let isRepetition = (try? result.get().isOfRepetition) ?? false
      submit(
        isRepetition ? release.repeated : release, by: deadline,
        violations: violations, mayQueue: mayQueue, completion: completion)
    }
    let giveBack: @Sendable (Request?, @escaping @Sendable () -> Void) -> Request = {
      [self] origin, ended in
      let end = max(release.keysLastUntil, release.keptUntil ?? release.keysLastUntil)
      return cleanUp(
        claim, until: end, mayHaveWaited: release.hasQueued, validUntil: release.validUntil,
        keptUntil: release.keptUntil, undoing: origin, ended: ended)
    }
    let undo: Request.Undo = { giveBack($0, {}) }
    let repeatLater: @Sendable () -> Void = { [self] in
      // A caller may release again and again.
      giveBackOnce(claim.token) { giveBack(nil, $0) }
    }
    let request = Request(
      deadline: deadline, kind: .release, isAwaited: release.isAwaited, undo: undo,
      command: { [self] in
        keepCommand(claim, until: release.keptUntil)
          ?? Self.releaseCommand(claim, names, queues: queued)
      }
    ) { [self, undo] result in
      // The count when the error comes: if it grows later, the error is in doubt.
      let former = violations ?? connection.violationCount
      if queued, Self.isHalfMoved(result) { return repeatRelease(result, former, false) }
      guard Self.isTransient(result) else {
        examine(Self.error(in: result), about: claim.keys, queued: queued, by: deadline) {
          [self] refused in
          if refused == .queues { return repeatRelease(result, former, false) }
          let isSuspect = former < connection.violationCount
          let outcome = readRelease(result, of: isSuspect ? release.repeated : release)
          let isUnintelligible =
            if case .failure(.unintelligible) = outcome { true } else { false }
          if isUnintelligible {
            connection.submit(undo(nil))
            connection.distrust()
          } else if Self.isToBeRepeated(result) {
            repeatLater()
          }
          if case .success = outcome {
            connection.noteGivenBack()
            if queued { queueAccess.noteUse(of: CollectionOfOne(claim.keys)) }
          }
          completion(outcome)
        }
        return
      }
      let giveUp: @Sendable () -> Void = { [self] in
        repeatLater()
        completion(readRelease(result, of: release))
      }
      let pause = pause(
        StoreFailure.transientPause, keepingUntil: release.keptUntil, validUntil: release.validUntil
      )
      guard clock.now + pause < deadline else { return giveUp() }
      connection.giveBackLater(pause) { [self] in
        // A closing connection may have had no time for it before.
        if clock.now < deadline { repeatRelease(result, former, mayQueue) } else { giveUp() }
      }
    }
    connection.submit(request)
  }

  /// Whether waiters may count on being told of the end of a claim.
  ///
  /// Its token says so to them. That holds though the server has refused the queues of another lock meanwhile.
  private func mayHaveToldWaiters(_ claim: Claim) -> Bool {
    queueAccess.isOpen(for: claim.keys) || LockToken(parsing: claim.token)?.notifiesWaiters == true
  }

  /// How long to wait before the next attempt: several have to come before keys expire that are to be kept.
  private func pause(
    _ longest: Duration, keepingUntil keptUntil: Instant?, validUntil: Instant?
  ) -> Duration {
    guard keptUntil != nil, let validUntil, clock.now < validUntil else { return longest }
    return min(longest, max(clock.now.duration(to: validUntil) / 4, .milliseconds(1)))
  }

  /// Whether the server was unable to execute the command just then.
  ///
  /// Giving back is worth trying again also if the server accepts no writes until it can save or has memory.
  private static func isTransient(_ result: Result<Request.Answer, TransportError>) -> Bool {
    error(in: result).map {
      $0.remedy != .fail || [.misconfigured, .outOfMemory].contains($0.code)
    } ?? false
  }

  /// Whether some of the keys have moved to another node of a cluster, and the others have not.
  ///
  /// A lock on one key need not wait for that: it is given back without its queue, whose waiters soon poll.
  private static func isHalfMoved(_ result: Result<Request.Answer, TransportError>) -> Bool {
    error(in: result)?.code == .tryAgain
  }

  /// Whether the server has refused what it may accept later, for example once its operator has mended the rights.
  ///
  /// A key of another type is none of a lock.
  private static func isToBeRepeated(_ result: Result<Request.Answer, TransportError>) -> Bool {
    error(in: result).map { $0.code != .wrongType } ?? false
  }

  private static func hasSucceeded(_ result: Result<Request.Answer, TransportError>) -> Bool {
    if case .success(let answer) = result { answer.replies.first?.error == nil } else { false }
  }

  private static func error(in result: Result<Request.Answer, TransportError>) -> ServerError? {
    if case .success(let answer) = result { answer.replies.first?.error } else { nil }
  }

  func readRelease(
    _ result: Result<Request.Answer, TransportError>, of release: Release
  ) -> Result<ReleaseReport, StoreFailure> {
    switch result {
    case .failure(let failure): return .failure(StoreFailure(failure))
    case .success(let answer):
      // Keys that were kept are released at the end of that time; a request sent later arrives after that.
      let isTooLate = release.keptUntil.map { $0 <= answer.sentAt } ?? false
      let isExplained =
        release.wasValid && (release.isRepetition || answer.isOfRepetition || isTooLate)
      switch answer.replies[0] {
      case .integer(1): return .success(ReleaseReport(outcome: .released, isContended: false))
      case .array(let fields) where fields.count == 2 || fields.count == 3:
        let outcome: ReleaseOutcome
        var holder: String?
        switch (fields[0], fields.dropFirst(2).first) {
        case (.integer(1), nil): outcome = .released
        case (.integer(0), nil): outcome = isExplained ? .released : .deleted
        case (.integer(-1), .string(let value)?):
          outcome = isExplained ? .released : .takenByAnother
          holder = value
        default: return .failure(.unexpected(answer.replies[0]))
        }
        guard case .integer(let handed) = fields[1], (-1...2).contains(handed) else {
          return .failure(.unexpected(fields[1]))
        }
        // A reservation shows nothing of the right to notify.
        if abs(handed) == 1 { tokens.noteNotifying(handed == 1) }
        return .success(
          ReleaseReport(outcome: outcome, isContended: handed != 0, holder: holder))
      case .error(let error): return .failure(StoreFailure(error))
      case let reply: return .failure(.unexpected(reply))
      }
    }
  }

  /// Makes the command that lets the keys of a claim last until an instant; nil if that has passed.
  ///
  /// It holds how long that is from now on, so it is made on sending.
  private func keepCommand(_ claim: Claim, until end: Instant?) -> Command? {
    guard let end, clock.now < end else { return nil }
    // A part of a millisecond counts as a whole one.
    let time = clock.now.duration(to: end).wholeMilliseconds + 1
    return Script.keep.command(keys: claim.keys, arguments: [claim.token, String(time)])
  }

  /// Makes the command that gives a claim back; with `leavesQueue`, it gives up the claim's place in the queues,
  /// too.
  static func releaseCommand(
    _ claim: Claim, _ names: ServerKeys, queues: Bool, leavesQueue: Bool = false
  ) -> Command {
    Script.release.command(
      keys: queues ? names.keysAndFence(of: claim.keys) : claim.keys,
      arguments: [queues ? names.prefix : "", claim.token] + (leavesQueue ? ["1"] : []))
  }

  /// Makes the request that undoes a claim with an unknown outcome; from now on, the claim's token is given up for
  /// good.
  func cleanUp(
    _ claim: Claim, wasRefused: Bool = false, undoing origin: Request? = nil,
    pending: PendingUndo? = nil
  ) -> Request {
    cleanUp(
      claim, until: clock.now + claim.ttl, wasRefused: wasRefused, undoing: origin,
      pending: pending)
  }

  /// Makes the request that gives a claim back, or keeps its keys from other clients until `keptUntil`.
  ///
  /// `pause` is how long to wait if the server cannot do it now, and grows with each attempt. Keys that are to be
  /// kept exist until `validUntil`, so that several attempts have to come before.
  ///
  /// `wasRefused` tells that the server has refused the claim itself: then there is hardly anything to give back, and
  /// another refusal is the end. `mayHaveWaited` tells that the token may have been in a queue, which shows that this
  /// one may be used. `isAgain` tells that a series of repetitions has begun, so that this one begins none.
  /// If `claiming`, by default `origin`, turns out to have been refused, there is nothing left to do.
  /// `ended` is called after the last attempt; `pending` is kept until then, and until all repetitions are over.
  func cleanUp(
    _ claim: Claim, until lastTime: Instant, mayHaveWaited: Bool = false,
    validUntil: Instant? = nil, keptUntil: Instant? = nil, wasRefused: Bool = false,
    undoing origin: Request? = nil, claiming: Request? = nil,
    isAgain: Bool = false, mayQueue: Bool = true, pause: Duration = StoreFailure.transientPause,
    pending: PendingUndo? = nil, ended: @escaping @Sendable () -> Void = {}
  ) -> Request {
    let claiming = claiming ?? origin
    let again: @Sendable (Duration, _ isAgain: Bool, _ mayQueue: Bool) -> Request = {
      [self] pause, isAgain, mayQueue in
      cleanUp(
        claim, until: lastTime, mayHaveWaited: mayHaveWaited, validUntil: validUntil,
        keptUntil: keptUntil, wasRefused: wasRefused, claiming: claiming, isAgain: isAgain,
        mayQueue: mayQueue, pause: pause, pending: pending, ended: ended)
    }
    // The closure holds the store, so that the connection lives until this is done.
    let queued = mayQueue && (mayHaveWaited || mayHaveToldWaiters(claim))
    let lingers: (@Sendable () -> Void)? =
      if let record = pending?.record { { [self] in record.noteLate(in: runID) } } else { nil }
    return Request(
      deadline: lastTime, kind: .cleanUp, undoing: origin,
      lingers: lingers,
      command: { [self] in
        guard claiming?.hasDoneNothing != true else { return nil }
        return keepCommand(claim, until: keptUntil)
          ?? Self.releaseCommand(claim, names, queues: queued, leavesQueue: true)
      }
    ) { [self] result in
      let isRepetition = (try? result.get().isOfRepetition) ?? false
      let begins = isRepetition && keptUntil == nil && !isAgain
      if begins {
        cleanUpAgain(
          claim, mayHaveWaited: mayHaveWaited, after: operationTimeout, pending: pending)
      }
      let tryLater: @Sendable () -> Void = { [self] in
        let due = self.pause(pause, keepingUntil: keptUntil, validUntil: validUntil)
        pendingCleanUps.add(1, ordering: .relaxed)
        connection.giveBackLater(due) { [self] in
          pendingCleanUps.subtract(1, ordering: .relaxed)
          connection.submit(again(min(pause * 2, longestPause), isAgain || begins, mayQueue))
        }
      }
      guard clock.now < lastTime else { return ended() }
      if queued, Self.isHalfMoved(result) {
        return connection.submit(again(pause, isAgain || begins, false))
      }
      if Self.isTransient(result) { return tryLater() }
      if Self.hasSucceeded(result) {
        connection.noteGivenBack()
        if queued { queueAccess.noteUse(of: CollectionOfOne(claim.keys)) }
      }
      examine(
        Self.error(in: result), about: claim.keys, queued: queued, by: clock.now + operationTimeout
      ) { [self] refused in
        switch refused {
        case .queues: connection.submit(again(pause, isAgain || begins, false))
        case .other where !wasRefused && Self.isToBeRepeated(result), .unknown: tryLater()
        case .other: ended()
        }
      }
    }
  }

  /// Gives a token's keys back, unless that is under way.
  func giveBackOnce(
    _ token: String, _ makeRequest: (_ ended: @escaping @Sendable () -> Void) -> Request
  ) {
    guard givingBack.withLock({ $0.insert(token).inserted }) else { return }
    connection.submit(makeRequest { [self] in givingBack.withLock { _ = $0.remove(token) } })
  }

  /// How long to wait between two attempts at most.
  ///
  /// With many claims it is longer, so that the server gets no more than 1,000 requests a second. An attempt may cost
  /// two, one of them to examine the refusal.
  private var longestPause: Duration {
    .seconds(1) * max(1, (pendingCleanUps.load(ordering: .relaxed) + 499) / 500)
  }

  /// Undoes a claim once more after a pause, and again after twice as long, until its ttl has passed.
  ///
  /// A request that was sent on a broken connection may arrive after its undo on the next one. A middlebox may
  /// hold it, or the system resends it until the peer has it. Keys that appear later than that are left to expire.
  private func cleanUpAgain(
    _ claim: Claim, mayHaveWaited: Bool, after pause: Duration, age: Duration = .zero,
    pending: PendingUndo?
  ) {
    guard pending?.record.mayComeLate(in: runID) ?? true else { return }
    connection.afterPause(pause) { [weak self] in
      guard let self, pending?.record.mayComeLate(in: runID) ?? true else { return }
      connection.submit(
        cleanUp(
          claim, until: clock.now + operationTimeout, mayHaveWaited: mayHaveWaited, isAgain: true,
          pending: pending))
      let age = age + pause
      if age < claim.ttl {
        cleanUpAgain(
          claim, mayHaveWaited: mayHaveWaited, after: pause * 2, age: age, pending: pending)
      }
    }
  }
}
