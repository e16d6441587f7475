/// Takes, keeps and gives back the locks of one ``Locker``.
final class Coordinator: Sendable {
  let store: any LockStore
  let extender: Extender
  let operationTimeout: Duration

  init(store: any LockStore, operationTimeout: Duration) {
    self.store = store
    self.operationTimeout = operationTimeout
    extender = Extender(store: store, operationTimeout: operationTimeout)
  }

  deinit { store.close() }

  /// Takes a lock; nil when somebody else holds it and the caller does not wait.
  func acquire(_ keys: [String], options: LockOptions, waits: Bool) async throws -> Lease? {
    var generator = SystemRandomNumberGenerator()
    var plan = AcquirePlan(
      keys: keys, options: options, waits: waits, operationTimeout: operationTimeout, now: .now)
    try Task.checkCancellation()
    var claim = makeClaim(keys, options)
    var action = plan.next(at: .now)
    while true {
      switch action {
      case .ask(let isFirst, let deadline):
        // A token is used for one question: should its outcome stay unknown, it is given up for good.
        claim = makeClaim(keys, options)
        do throws(StoreFailure) {
          let acquisition =
            isFirst
            ? try await store.acquire(claim, by: deadline)
            : try await store.poll(claim, by: deadline)
          action = plan.answered(
            acquisition, at: .now, roundTrip: store.roundTrip, using: &generator)
        } catch {
          action = plan.failed(error, at: .now, roundTrip: store.roundTrip, using: &generator)
        }
      case .pause(let instant):
        try await sleep(until: instant)
        action = plan.next(at: .now)
      case .take(let sentAt, let fencingToken):
        let lease = Lease(
          claim, fencingToken: fencingToken, extend: options.extend, sentAt: sentAt)
        if extender.add(lease, sentAt: sentAt) { return lease }
        // Closed meanwhile; the store takes releases until the locker has given back what it held.
        giveBack(claim)
        throw LockError(.closed, keys: keys, phase: .acquire)
      case .giveBack:
        giveBack(claim)
        action = plan.next(at: .now)
      case .leave: return nil
      case .fail(let error): throw error
      case .cancel: throw CancellationError()
      }
    }
  }

  private func makeClaim(_ keys: [String], _ options: LockOptions) -> Claim {
    Claim(keys: keys, token: store.makeToken(), ttl: options.ttl)
  }

  private func giveBack(_ claim: Claim) {
    store.release(
      claim, validUntil: .now, by: .now + min(operationTimeout, claim.ttl), completion: { _ in })
  }

  /// Waits for an instant, or until the locker is closed.
  private func sleep(until instant: Instant) async throws {
    let promise = Promise<Bool>()
    extender.wake(promise, at: instant)
    try await promise.wait()
  }

  /// Gives back all leases and closes the store, within the operation timeout.
  func close() async {
    let promises = extender.close().map { lease in
      extender.release(lease, generation: lease.state.generation)
    }
    for promise in promises { _ = await promise?.value }
    store.close()
  }
}

extension Promise where Value == Bool {
  /// Waits for the promise, or for the task's cancellation.
  ///
  /// - Throws: `CancellationError` when the task is cancelled first.
  func wait() async throws(CancellationError) {
    let isKept = await withTaskCancellationHandler {
      await value
    } onCancel: {
      fulfil(false)
    }
    if !isKept { throw CancellationError() }
  }
}
