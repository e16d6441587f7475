internal import AsyncRedisLock
internal import Synchronization

extension InMemoryLockStore {
  // MARK: Waiting

  func isTold(of keys: [String]) -> Bool { true }

  func mayQueueUntold(for keys: [String]) -> Bool { true }

  func prepareToWait(
    for keys: [String], while isWanted: (@Sendable () -> Bool)?,
    completion: @escaping @Sendable (Bool) -> Void
  ) { completion(true) }

  func listen(for claim: Claim, _ listener: @escaping @Sendable (Notice) -> Void) {
    server.state.withLock { $0.clients[client].listeners[claim.token] = listener }
  }

  /// Does nothing, since the store listens as long as it exists.
  ///
  /// If a later message about a grant were given back here, that would free the keys under their next holder.
  func stopListening(for claim: Claim) {}

  private func forget(_ token: String) {
    server.state.withLock { $0.clients[client].listeners[token] = nil }
  }

  func noteUntoldGrant(of claim: Claim) {}

  func poll(
    _ claim: Claim, numbers: Int, lapse: Duration, reservation: Duration?, by deadline: Instant,
    completion: @escaping @Sendable (Result<PollAnswer, StoreFailure>) -> Void
  ) {
    let (client, isFencing) = (client, isFencing)
    server.submit(
      InMemoryRequest(from: client, by: deadline) { memory, now in
        let answer = Self.poll(
          claim, numbers: numbers, lapse: lapse, from: client, isFencing: isFencing, &memory, now)
        return { completion(.success(answer)) }
      } fail: {
        completion(.failure($0))
      })
  }

  private static func poll(
    _ claim: Claim, numbers: Int, lapse: Duration, from client: Int, isFencing: Bool,
    _ memory: inout ServerMemory, _ now: Instant
  ) -> PollAnswer {
    let (keys, token) = memory.numbers(of: claim, client: client)
    memory.server.listeners[client] = 1
    let answer = memory.server.poll(
      keys, token, ttl: ServerMemory.life(claim.ttl), lapse: lapse.wholeMilliseconds,
      numbers: numbers, seen: 0, raises: false)
    switch answer {
    case .taken(let first, let wasGranted):
      let numbers = isFencing ? first..<first + UInt64(numbers) : 0..<0
      return .held(sentAt: now, numbers: numbers, wasGranted: wasGranted)
    case .wait(let counter, let holder, let remaining, let isSilent, let isHeard):
      let state = KeyState(
        holder: holder.map { memory.name(of: $0) }, remaining: remaining.map { .milliseconds($0) })
      return .waiting(
        Waiting(sentAt: now, counter: counter, state: state, isSilent: isSilent, isHeard: isHeard))
    }
  }

  func cancel(_ claim: Claim, lapse: Duration) {
    forget(claim.token)
    server.submit(cleanUp(claim, until: clock.now + lapse + claim.ttl)())
  }

  // MARK: Keeping and giving back

  func extend(
    _ extensions: [Extension], numbers: Int, by deadline: Instant,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void
  ) {
    let (client, isFencing) = (client, isFencing)
    server.submit(
      InMemoryRequest(from: client, by: deadline) { memory, now in
        var drawn = 0..<UInt64(0)
        let outcomes = extensions.map { one -> Extended.Outcome in
          guard one.terms.isWanted else { return .notAsked }
          let (keys, token) = memory.numbers(of: one.claim, client: client)
          let extended = memory.server.extend(
            keys, token, ttl: ServerMemory.life(one.ttl), numbers: numbers)
          switch extended {
          case .ours(let first):
            if isFencing, let first { drawn = first..<first + UInt64(numbers) }
            return .ours
          case .deleted: return .deleted
          case .taken(let other): return .taken(by: memory.name(of: other))
          }
        }
        let extended = Extended(sentAt: now, outcomes: outcomes, numbers: drawn)
        return { completion(.success(extended)) }
      } fail: {
        completion(.failure($0))
      })
  }

  func release(
    _ release: Release, by deadline: Instant,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void
  ) {
    let (client, claim) = (client, release.claim)
    forget(claim.token)
    // If the keys are kept until an instant, a clean-up, which frees them at once, must not replace the release.
    let remedy =
      release.keptUntil.map { keep(claim, until: $0) }
      ?? cleanUp(claim, until: release.keysLastUntil)
    server.submit(
      InMemoryRequest(from: client, by: deadline, isPersistent: true, remedy: remedy) {
        memory, now in
        let (keys, token) = memory.numbers(of: claim, client: client)
        let released: SimulatedServer.Released
        if let end = release.keptUntil, now < end {
          released = memory.server.keep(keys, token, for: ServerMemory.life(now.duration(to: end)))
        } else {
          released = memory.server.release(keys, token, leaves: false)
        }
        let report = ReleaseReport(
          outcome: Self.outcome(released.outcome, isExplained: release.isExplained),
          isContended: released.handed != 0, holder: released.other.map(memory.name))
        return { completion(.success(report)) }
      } fail: {
        completion(.failure($0))
      })
  }

  /// Lets the keys of a claim last until an instant, as long as that makes sense.
  private func keep(_ claim: Claim, until end: Instant) -> @Sendable () -> InMemoryRequest {
    let client = client
    return {
      InMemoryRequest(from: client, by: end, isPersistent: true, remedy: nil) { memory, now in
        let (keys, token) = memory.numbers(of: claim, client: client)
        _ = memory.server.keep(keys, token, for: ServerMemory.life(now.duration(to: end)))
        return {}
      } fail: { _ in
      }
    }
  }

  private static func outcome(_ code: Int, isExplained: Bool) -> ReleaseOutcome {
    if code == 1 || isExplained { return .released }
    return code == 0 ? .deleted : .takenByAnother
  }
}
