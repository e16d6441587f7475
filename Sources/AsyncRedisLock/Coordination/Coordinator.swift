internal import Synchronization

/// Takes, keeps and gives back the locks of one ``Locker``.
final class Coordinator: Sendable {
  /// The acquisitions that are under way, and who waits for their end.
  private struct Acquiring {
    var count = 0
    var isClosed = false
    var idle: [Promise<Void>] = []
  }

  let store: any LockStore
  let extender: Extender
  let operationTimeout: Duration
  /// What tells the store from others in this process.
  let place: String
  private let acquiring = Mutex(Acquiring())

  init(store: any LockStore, place: String, operationTimeout: Duration) {
    self.store = store
    self.place = place
    self.operationTimeout = operationTimeout
    extender = Extender(store: store, operationTimeout: operationTimeout)
  }

  deinit { store.close() }

  /// Takes a lock; nil when somebody else holds it and the caller does not wait.
  func acquire(_ keys: [String], options: LockOptions, waits: Bool) async throws -> Lease? {
    try beginAcquiring(keys)
    defer { endAcquiring() }
    var generator = SystemRandomNumberGenerator()
    var plan = AcquirePlan(
      keys: keys, options: options, waits: waits, operationTimeout: operationTimeout, now: .now)
    try Task.checkCancellation()
    var claim: Claim?
    var action = plan.next(at: .now)
    while true {
      switch action {
      case .ask(let isFirst, let deadline):
        // A token is used for one question: should its outcome stay unknown, it is given up for good.
        let asking = Claim(keys: keys, token: store.makeToken(), ttl: options.ttl)
        claim = asking
        do throws(StoreFailure) {
          let acquisition =
            isFirst
            ? try await store.acquire(asking, by: deadline)
            : try await store.poll(asking, by: deadline)
          action = plan.answered(
            acquisition, at: .now, roundTrip: store.roundTrip, using: &generator)
        } catch {
          action = plan.failed(error, at: .now, roundTrip: store.roundTrip, using: &generator)
        }
      case .pause(let instant):
        try await sleep(until: instant)
        action = plan.next(at: .now)
      case .take(let sentAt, let fencingToken):
        guard let claim else { preconditionFailure("Nothing was claimed.") }
        let lease = Lease(
          claim, fencingToken: fencingToken, extend: options.extend, sentAt: sentAt)
        if extender.add(lease, sentAt: sentAt) { return lease }
        extender.giveBack(claim)
        throw LockError(.closed, keys: keys, phase: .acquire)
      case .giveBack:
        if let claim { extender.giveBack(claim) }
        action = plan.gaveBack(at: .now, roundTrip: store.roundTrip, using: &generator)
      case .leave: return nil
      case .fail(let error): throw error
      case .cancel: throw CancellationError()
      }
    }
  }

  /// Waits for an instant, or until the locker is closed.
  private func sleep(until instant: Instant) async throws {
    let promise = Promise<Bool>()
    extender.wake(promise, at: instant)
    try await promise.wait()
  }

  // MARK: Closing

  /// Gives back all leases and closes the store, within the operation timeout.
  func close() async {
    acquiring.withLock { $0.isClosed = true }
    let promises = extender.close().map { lease in
      extender.release(lease, generation: lease.state.generation)
    }
    store.stop()
    // What was granted to them just now is given back by them; the store has to be there for it.
    await waitForAcquisitions()
    for promise in promises { _ = await promise?.value }
    store.close()
  }

  private func beginAcquiring(_ keys: [String]) throws(LockError) {
    let isClosed = acquiring.withLock { acquiring in
      if !acquiring.isClosed { acquiring.count += 1 }
      return acquiring.isClosed
    }
    if isClosed { throw LockError(.closed, keys: keys, phase: .acquire) }
  }

  private func endAcquiring() {
    let idle = acquiring.withLock { acquiring in
      acquiring.count -= 1
      guard acquiring.count == 0 else { return [Promise<Void>]() }
      defer { acquiring.idle = [] }
      return acquiring.idle
    }
    for promise in idle { promise.fulfil(()) }
  }

  private func waitForAcquisitions() async {
    let promise = Promise<Void>()
    let isIdle = acquiring.withLock { acquiring in
      if acquiring.count > 0 { acquiring.idle.append(promise) }
      return acquiring.count == 0
    }
    if !isIdle { await promise.value }
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
