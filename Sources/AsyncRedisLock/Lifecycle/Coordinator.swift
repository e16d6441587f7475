/// Takes, keeps and gives back the locks of one ``Locker``.
package final class Coordinator: Sendable {
  let store: any LockStore
  let releaser: Releaser
  let extender: Extender
  let deadlines: Deadlines
  let refresher: QueueEntryRefresher
  let queues: LocalQueues
  let operationTimeout: Duration
  let reporter: Reporter
  /// Tells the store from others in this process.
  let storeID: String
  let forkGuard = ForkGuard()
  let clock: LockClock
  let calls = OpenCalls()
  /// Created once, since each lease has a reference to it.
  let onLoss: @Sendable (Lease) -> Void

  init(
    _ configuration: LockerConfiguration, store: any LockStore, storeID: String, reporter: Reporter
  ) {
    self.store = store
    self.storeID = storeID
    operationTimeout = configuration.operationTimeout
    queues = LocalQueues(
      handoffLimit: configuration.localHandoffLimit, maxWaiters: configuration.maxWaiters)
    self.reporter = reporter
    clock = store.clock
    releaser = Releaser(store: store, operationTimeout: operationTimeout)
    extender = Extender(store: store, operationTimeout: operationTimeout, reporter: reporter)
    deadlines = Deadlines(clock: clock)
    refresher = QueueEntryRefresher(store: store, operationTimeout: operationTimeout)
    onLoss = Self.onLoss(queues, releaser, reporter)
  }

  deinit { store.close() }

  /// Keeps this object in a forked child for ever, when a handle goes out of scope there.
  ///
  /// Even to release an event source would make the system forget the parent's. The end of an object can also need
  /// a mutex, of the library or of the Swift runtime, whose owner is a thread that does not exist in the child.
  func keepInForkedChild() { _ = unsafe Unmanaged.passRetained(self) }

  /// Counts running calls; nil except in tests, and in a forked child, where no mutex may be touched.
  var activity: (any ActivityCounter)? {
    guard let activity = clock.activity, forkGuard.isHere else { return nil }
    return activity
  }

  /// Waits for a while, by the store's time; if the locker is closed, not at all.
  func pause(_ duration: Duration) async throws(CancellationError) {
    let signal = Signal()
    deadlines.wake(signal, at: clock.now + duration, until: .closing)
    try await signal.wait(countedBy: activity)
  }

  // MARK: Closing

  /// Gives back all leases and closes the store, within the operation timeout.
  func close() async {
    guard forkGuard.isHere else { return }
    activity?.begin()
    await finish()
    activity?.end()
  }

  private func finish() async {
    calls.close(.closed)
    queues.close()
    deadlines.close(.closed)
    let promises = extender.close().map { release($0, revokes: true) }
    store.stop()
    // Calls give back what they were granted just now; the store must be there for that.
    await calls.waitUntilIdle(countedBy: activity)
    for promise in promises { _ = await promise.value(countedBy: activity) }
    // Places in queues and late grants are given back, too.
    await store.close().value(countedBy: activity)
    reporter.close()
  }

  /// Does what ``close()`` does, once all leases have ended or the task is cancelled.
  func closeWhenReleased() async {
    guard forkGuard.isHere else { return }
    activity?.begin()
    calls.close(.closing)
    queues.close()
    deadlines.close(.closing)
    for lease in extender.close() {
      let signal = Signal()
      lease.addWatcher(signal)
      try? await signal.wait(countedBy: activity)
      lease.removeWatcher(signal)
    }
    await finish()
    activity?.end()
  }

  /// Checks that the locker has not been closed while a task waited.
  func checkOpen(_ keys: LockKeys) throws(LockError) {
    if !calls.isOpen { throw Self.closedError(keys) }
  }

  /// Checks that this is not a child process with a copy of the locker.
  func checkNotForked(
    _ keys: @autoclosure () -> [String], _ phase: LockError.Phase
  ) throws(LockError) {
    if !forkGuard.isHere {
      throw LockError(
        .closed, "the locker belongs to the process that this one was forked from", keys: keys(),
        phase: phase)
    }
  }

  static func closedError(_ keys: LockKeys) -> LockError {
    LockError(.closed, "the locker is closed", keys: keys.names, phase: .acquire)
  }

  /// Begins a call that closing waits for, unless the locker is closed or the task cancelled.
  func beginCall(_ keys: LockKeys) throws {
    if !calls.begin(until: .open) { throw Self.closedError(keys) }
    if Task.isCancelled {
      calls.end()
      throw CancellationError()
    }
  }
}
