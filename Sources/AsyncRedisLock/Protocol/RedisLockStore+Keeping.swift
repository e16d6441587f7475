extension RedisLockStore {
  func extend(_ extensions: [Extension]) {
    let requests = extensions.map { one in
      let command = Script.extend.command(
        keys: one.claim.keys, arguments: [one.claim.token, String(one.ttl.wholeMilliseconds)])
      return Request([command], deadline: one.deadline) { [connection] result in
        let outcome = Self.readExtension(result)
        if case .unknown(.unintelligible) = outcome { connection.distrust() }
        one.completion(outcome)
      }
    }
    connection.submit(contentsOf: requests)
  }

  private static func readExtension(
    _ result: Result<Request.Answer, RequestFailure>
  ) -> ExtensionOutcome {
    switch result {
    case .failure(let failure): return .unknown(StoreFailure(failure.cause))
    case .success(let answer):
      switch answer.replies[0] {
      case .integer(1): return .extended(sentAt: answer.sentAt)
      case .integer(0): return .notOurs
      case .error(let error): return .unknown(StoreFailure(error))
      case let reply: return .unknown(.unexpected(reply))
      }
    }
  }

  func release(
    _ release: Release, by deadline: Instant,
    completion: @escaping @Sendable (Result<ReleaseOutcome, StoreFailure>) -> Void
  ) {
    let claim = release.claim
    let request = Request(
      [Self.releaseCommand(claim)], deadline: deadline, isRepeatable: true,
      undo: { [self] in cleanUp(claim, until: release.keysLastUntil) }
    ) { [self] result in
      guard Self.isTransient(result) else {
        let outcome = Self.readRelease(result, of: release)
        if case .failure(.unintelligible) = outcome { connection.distrust() }
        completion(outcome)
        return
      }
      if ContinuousClock.now + StoreFailure.transientPause < deadline {
        connection.afterPause(StoreFailure.transientPause) {
          self.release(release, by: deadline, completion: completion)
        }
      } else {
        connection.submit(cleanUp(claim, until: release.keysLastUntil))
        completion(Self.readRelease(result, of: release))
      }
    }
    connection.submit(request)
  }

  /// Whether the server could not do the command just then.
  private static func isTransient(_ result: Result<Request.Answer, RequestFailure>) -> Bool {
    guard case .success(let answer) = result, let error = answer.replies[0].error else {
      return false
    }
    return error.remedy != .fail
  }

  private static func readRelease(
    _ result: Result<Request.Answer, RequestFailure>, of release: Release
  ) -> Result<ReleaseOutcome, StoreFailure> {
    switch result {
    case .failure(let failure): return .failure(StoreFailure(failure.cause))
    case .success(let answer):
      let isExplained = release.wasValid && (release.isRepetition || answer.isOfRepetition)
      switch answer.replies[0] {
      case .integer(1): return .success(.released)
      case .integer(0): return .success(isExplained ? .released : .expired)
      case .integer(-1): return .success(isExplained ? .released : .takenByAnother)
      case .error(let error): return .failure(StoreFailure(error))
      case let reply: return .failure(.unexpected(reply))
      }
    }
  }

  private static func releaseCommand(_ claim: Claim) -> Command {
    Script.release.command(keys: claim.keys, arguments: [claim.token])
  }

  /// Makes the request that takes a claim back when nobody knows whether it was granted; from now on
  /// the claim's token is given up for good.
  func cleanUp(_ claim: Claim) -> Request { cleanUp(claim, until: .now + claim.ttl) }

  private func cleanUp(_ claim: Claim, until end: Instant) -> Request {
    // Holds the store, so that the connection lives until this is done.
    Request([Self.releaseCommand(claim)], deadline: end, isRepeatable: true) { [self] result in
      guard Self.isTransient(result), ContinuousClock.now < end else { return }
      connection.afterPause(StoreFailure.transientPause) {
        self.connection.submit(self.cleanUp(claim, until: end))
      }
    }
  }
}
