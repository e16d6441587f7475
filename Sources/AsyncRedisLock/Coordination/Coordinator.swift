internal import Synchronization

/// Takes, keeps and gives back the locks of one ``Locker``.
package final class Coordinator: Sendable {
  /// The calls that are under way to take a lock or to give one back, and who waits for their end.
  private struct Calls {
    var count = 0
    var isClosed = false
    var idle: [Promise<Void>] = []
  }

  let store: any LockStore
  let extender: Extender
  let queues: LocalQueues
  let operationTimeout: Duration
  let reporter: Reporter
  /// What tells the store from others in this process.
  let place: String
  let home = HomeProcess()
  let clock: LockClock
  private let calls = Mutex(Calls())

  init(
    _ configuration: LockerConfiguration, store: any LockStore, place: String, reporter: Reporter
  ) {
    self.store = store
    self.place = place
    operationTimeout = configuration.operationTimeout
    queues = LocalQueues(
      handoffLimit: configuration.localHandoffLimit, maxWaiters: configuration.maxWaiters)
    self.reporter = reporter
    clock = store.clock
    extender = Extender(store: store, operationTimeout: operationTimeout, reporter: reporter)
  }

  deinit {
    if home.isHere {
      store.close()
    } else {
      // Even to let go of a source of events would tell the system to forget that of the parent.
      _ = unsafe Unmanaged.passRetained(extender)
    }
  }

  /// Counts the calls that run; nil in all programs but tests.
  var activity: (any ActivityCounter)? { clock.activity }

  /// Takes a lock; nil when somebody else holds it and the caller does not wait.
  ///
  /// On the caller's actor only until the task has its place in the line, so that places are in the order of the
  /// calls. What asks and waits does not run there: the actor may be blocked, and others wait for who leads.
  func acquire(
    _ keys: LockKeys, options: LockOptions, waits: Bool, trace: AcquisitionTrace? = nil
  ) async throws -> Lease? {
    try checkHome(keys.names, .acquire)
    try beginAcquiring(keys)
    defer { endCall() }
    try Task.checkCancellation()
    let plan = AcquirePlan(
      keys: keys.names, options: options, waits: waits, operationTimeout: operationTimeout,
      now: clock.now, grace: clock.grace, trace: trace)
    guard waits else { return try await takeOnce(keys, plan, options) }
    return try await takeInTurn(keys, plan, options)
  }

  // MARK: Releasing

  /// Ends a lease: hands it on to a task that waits in this process, or gives its keys back.
  ///
  /// `isAwaited` tells that a task waits for the outcome, `revokes` that its holder did not ask for it.
  @discardableResult
  func release(
    _ lease: Lease, isAwaited: Bool = false, revokes: Bool = false
  ) -> Promise<Result<ReleaseOutcome, StoreFailure>> {
    // Closing must not miss what has not been handed to the store yet.
    calls.withLock { $0.count += 1 }
    let releasing = lease.beginRelease(isAwaited: isAwaited, revokes: revokes)
    if case .ask(let release, let promise) = releasing {
      if release.wasValid, !release.isRepetition, release.keptUntil == nil, handOn(lease) {
        promise.fulfil(.success(.released))
      } else {
        giveBack(lease, release, promise)
      }
      extender.noteEnd()
    }
    endCall()
    switch releasing {
    case .wait(let promise): return promise
    case .ask(let release, let promise):
      // Behind all that: a log handler may block.
      reporter.ended(
        lease, lostBecause: release.wasValid ? nil : lease.lossReason, isByTask: !revokes)
      return promise
    }
  }

  private func handOn(_ lease: Lease) -> Bool {
    let isFencing = store.isFencing
    let (isDone, next) = queues.handOn(lease, LockKeys(of: lease)) { options in
      lease.handedOn(to: options, isFencing: isFencing)
    } start: { next in
      _ = extender.add(next, wasHandedOver: true)
    }
    if let next { drawNumbers(for: next) }
    return isDone
  }

  private func giveBack(
    _ lease: Lease, _ release: Release, _ promise: Promise<Result<ReleaseOutcome, StoreFailure>>
  ) {
    let keys = LockKeys(of: lease)
    extender.giveBack(release) { [queues] result in
      switch result {
      case .failure: lease.forgetRelease()
      case .success(let report): queues.note(keys, isContended: report.isContended)
      }
      promise.fulfil(result.map(\.outcome))
    }
    if let end = release.keptUntil { free(lease, at: end) }
    // Behind the release, so that the next in this process does not meet it.
    queues.end(lease, keys)
  }

  /// Frees keys for others whose lease was released before its time.
  private func free(_ lease: Lease, at end: Instant) {
    let errand = Errand(at: end, by: clock) { [weak extender] in
      extender?.giveBack(lease.remainder) { _ in }
    }
    extender.wake(errand, at: end, isForHolders: true)
  }

  /// Leaves a lease to another process; false when it has ended.
  func detach(_ lease: Lease) -> Bool {
    guard lease.detach() else { return false }
    queues.end(lease, LockKeys(of: lease))
    extender.noteEnd()
    store.stopListening(for: lease.claim.token)
    reporter.ended(lease, lostBecause: nil, isByTask: true)
    return true
  }

  /// Draws fencing tokens for handing a lease on, if it has none left.
  func drawNumbers(for lease: Lease) {
    guard store.isFencing, lease.beginDrawingNumbers() else { return }
    let count = queues.numbersWanted(LockKeys(of: lease))
    extender.extend(lease, by: lease.claim.ttl, drawing: count) { result in
      lease.endDrawingNumbers((try? result.get())?.numbers ?? 0..<0)
    }
  }

  /// Waits for a while, by the store's time, or not at all when closed.
  func pause(_ duration: Duration) async throws(CancellationError) {
    let promise = Promise<Bool>()
    extender.wake(promise, at: clock.now + duration, isForHolders: true)
    try await promise.wait(countedBy: activity)
  }

  // MARK: Closing

  /// Gives back all leases and closes the store, within the operation timeout.
  func close() async {
    guard home.isHere else { return }
    activity?.begin()
    await finish()
    activity?.end()
  }

  private func finish() async {
    calls.withLock { $0.isClosed = true }
    queues.close()
    let promises = extender.close(isFinal: true).map { release($0, revokes: true) }
    store.stop()
    // What was granted to them just now is given back by them; the store has to be there for it.
    await waitForCalls()
    for promise in promises { _ = await promise.value(countedBy: activity) }
    // Places in queues and what was granted too late are given back, too.
    await store.close().value(countedBy: activity)
  }

  /// Does what ``close()`` does, when all leases have ended or the task is cancelled.
  func closeWhenReleased() async {
    guard home.isHere else { return }
    activity?.begin()
    calls.withLock { $0.isClosed = true }
    queues.close()
    for lease in extender.close(isFinal: false) {
      let promise = Promise<Bool>()
      lease.addWatcher(promise)
      try? await promise.wait(countedBy: activity)
      lease.removeWatcher(promise)
    }
    await finish()
    activity?.end()
  }

  /// Checks that the locker has not been closed while a task waited.
  func checkOpen(_ keys: LockKeys) throws(LockError) {
    if calls.withLock({ $0.isClosed }) { throw Self.closedError(keys) }
  }

  /// Checks that this is not a child process with a copy of the locker.
  func checkHome(_ keys: [String], _ phase: LockError.Phase) throws(LockError) {
    if !home.isHere {
      throw LockError(
        .closed, "the locker belongs to the process that this one was forked from", keys: keys,
        phase: phase)
    }
  }

  static func closedError(_ keys: LockKeys) -> LockError {
    LockError(.closed, "the locker is closed", keys: keys.names, phase: .acquire)
  }

  func beginAcquiring(_ keys: LockKeys) throws(LockError) {
    let isClosed = calls.withLock { calls in
      if !calls.isClosed { calls.count += 1 }
      return calls.isClosed
    }
    if isClosed { throw Self.closedError(keys) }
  }

  func endCall() {
    let idle = calls.withLock { calls in
      calls.count -= 1
      guard calls.count == 0 else { return [Promise<Void>]() }
      defer { calls.idle = [] }
      return calls.idle
    }
    for promise in idle { promise.fulfil(()) }
  }

  private func waitForCalls() async {
    let promise = Promise<Void>()
    let isIdle = calls.withLock { calls in
      if calls.count > 0 { calls.idle.append(promise) }
      return calls.count == 0
    }
    if !isIdle { await promise.value(countedBy: activity) }
  }
}

extension LockKeys {
  /// The keys of a lease, which have been checked and sorted before.
  init(of lease: Lease) { self.init(checked: lease.claim.keys) }
}
