/// Gives keys back, within the operation timeout.
struct Releaser: Sendable {
  let store: any LockStore
  let operationTimeout: Duration
  let clock: LockClock

  init(store: any LockStore, operationTimeout: Duration) {
    self.store = store
    self.operationTimeout = operationTimeout
    clock = store.clock
  }

  /// Gives the keys of a claim back.
  func giveBack(
    _ release: Release,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void = { _ in }
  ) {
    let deadline = clock.now + min(operationTimeout, release.claim.ttl)
    store.release(release, by: deadline, completion: completion)
  }

  /// Gives back keys that were granted but are not needed.
  func giveBack(_ claim: Claim) {
    giveBack(
      Release(
        claim: claim, validUntil: clock.now, keysLastUntil: clock.now + claim.ttl,
        wasValid: false, isRepetition: false, isAwaited: false, keptUntil: nil, hasQueued: true))
  }
}
