/// A lock that is held, until it is released or lost.
///
/// Release it with ``release()``. A handle that nobody refers to any more releases its lock too, without
/// saying how that went; that is for errors and early returns. If it was held until then, one warning in the log
/// says so. Don't rely on it to end the work: Swift may
/// let go of a variable after its last use, and `_ = try await locker.acquire("key")` drops the handle, and
/// with it the lock, at once. ``Locker/withLock(_:options:logger:isolation:_:)-(String,_,_,_,_)`` has no such
/// traps.
///
/// The lock belongs to its handle, not to a task or a thread, and any task may use the handle. It stays with
/// its process: in a child made by `fork(2)` the handle counts as released and does nothing.
public final class Lock: Sendable {
  let coordinator: Coordinator
  let lease: Lease

  init(_ lease: Lease, coordinator: Coordinator) {
    self.lease = lease
    self.coordinator = coordinator
  }

  deinit {
    if coordinator.forkGuard.isHere { coordinator.release(lease, isDropped: true) }
  }

  /// The locked keys, without duplicates, sorted by their bytes.
  public var keys: [String] { lease.claim.keys }

  /// The value of the locked keys on the server.
  ///
  /// Holders of one locker share it when the lock passes from one to the next within the process; the
  /// ``fencingToken`` tells them apart. With a ``LockerConfiguration/localHandoffLimit`` of 0 no two locks
  /// ever have the same token.
  public var token: String { lease.claim.token }

  /// A number greater than that of every earlier lock on any of the same keys; nil when
  /// ``LockerConfiguration/isFencingEnabled`` is false.
  ///
  /// Numbers of locks on different keys say nothing of their order: some are drawn in blocks.
  ///
  /// That counts for all lockers with the same server, database and ``LockerConfiguration/keyPrefix``; other
  /// makes of client draw none. Pass it on to what the lock protects, and have that refuse a number below
  /// the largest it has seen: then a holder that was paused past the end of its lock can do no harm. It
  /// begins with the server's time in microseconds, and fits an `Int64`.
  public var fencingToken: UInt64? { lease.fencingToken }

  /// Whether the lock can be relied on at this instant.
  ///
  /// Decided here without asking the server: false from the instant at which the lock may have expired,
  /// even if the server cannot be reached.
  public var isHeld: Bool { coordinator.forkGuard.isHere && lease.isHeld }

  /// How much longer the lock can be relied on if no further extension succeeds; zero once it is lost
  /// or released.
  public var remaining: Duration {
    guard coordinator.forkGuard.isHere else { return .zero }
    let now = coordinator.clock.now
    let state = lease.state
    return state.isHeld(at: now) ? now.duration(to: state.validUntil) : .zero
  }

  /// Why the lock was lost; nil while it is held, and after a release that has found it held.
  public var lossReason: LossReason? {
    coordinator.forkGuard.isHere ? lease.lossReason : nil
  }

  /// Which holder has the lock now, if this one was lost because the server says that it is another's.
  public var newHolder: LockHolder? {
    coordinator.forkGuard.isHere ? lease.newHolder : nil
  }

  /// Waits until the lock is lost or released.
  ///
  /// Returns at once when the server says that the lock is gone, and at the end of its validity when the
  /// server says nothing. ``lossReason`` tells whether it was lost.
  ///
  /// - Throws: `CancellationError` when the task is cancelled.
  public func waitUntilLost() async throws(CancellationError) {
    coordinator.activity?.begin()
    defer { coordinator.activity?.end() }
    try await waitForEnd { _ in }
  }

  /// Waits until the lock is lost or released, or will be lost so soon that it is time to stop.
  ///
  /// - Parameter margin: How long before the end of the validity to return; each extension that succeeds
  ///   puts that off.
  /// - Throws: `CancellationError` when the task is cancelled.
  public func waitUntilLost(within margin: Duration) async throws(CancellationError) {
    // Any duration may be given, and not every one can be counted with.
    let margin = min(max(margin, .zero), .longest)
    // In a forked child not even a mutex may be touched: its owner can be a thread that is not there.
    guard coordinator.forkGuard.isHere else { return }
    coordinator.activity?.begin()
    defer {
      coordinator.deadlines.noteEnd()
      coordinator.activity?.end()
    }
    try await waitForEnd { signal in
      MarginWarning.set(
        signal, for: lease, margin: margin, clock: coordinator.clock,
        deadlines: coordinator.deadlines)
    }
  }

  /// Waits for the end of the lease, in a call that has been counted.
  func waitForEnd(
    _ arrange: (Signal) -> Void
  ) async throws(CancellationError) {
    guard coordinator.forkGuard.isHere else { return }
    let signal = Signal()
    lease.addWatcher(signal)
    defer { lease.removeWatcher(signal) }
    arrange(signal)
    try await signal.wait(countedBy: coordinator.activity)
  }

  /// Prolongs the lock so that it lasts at least this long from now; never shortens it.
  ///
  /// Automatic extension goes on as before. A failed call leaves the lock as valid as it was.
  ///
  /// - Parameter duration: At least 10 ms.
  /// - Throws: ``LockError`` with the code `lost` when the lock is no longer held, `unreachable` or
  ///   `refused` when the server did not do it within the operation timeout, `invalidOptions` for a
  ///   duration out of range, or one that ``LockOptions/maxHold`` forbids, `closed` when the locker was closed
  ///   under the lock, or in a child made by `fork(2)`; `CancellationError` when the task is cancelled.
  public func extend(by duration: Duration) async throws {
    try duration.validate(as: "duration", atLeast: LockOptions.minimumTTL)
    if isHeld, let end = lease.state.holdEnd, coordinator.clock.now + duration > end {
      throw LockError(
        .invalidOptions,
        "duration (\(duration.roundedForMessage)) goes past the end that maxHold sets", keys: keys,
        phase: .extend)
    }
    try await prolong(by: duration, phase: .extend)
  }

  /// Prolongs the lock as far as it may be held.
  func prolong(by duration: Duration, phase: LockError.Phase) async throws {
    try coordinator.checkNotForked(keys, phase)
    coordinator.activity?.begin()
    defer { coordinator.activity?.end() }
    let ttl = Duration.milliseconds(duration.wholeMilliseconds)
    let deadline = coordinator.clock.now + coordinator.operationTimeout
    while true {
      guard isHeld else { throw notHeldError(phase) }
      let promise = Promise<Result<Extended, StoreFailure>>()
      coordinator.extender.extend(lease, by: ttl) { promise.fulfil($0) }
      let result = await withTaskCancellationHandler {
        await promise.value(countedBy: coordinator.activity)
      } onCancel: {
        promise.fulfil(.failure(.cancelled))
      }
      switch result {
      case .success(let extended):
        guard isHeld, extended.outcomes[0] == .ours else { throw notHeldError(phase) }
        return
      case .failure(.cancelled):
        throw CancellationError()
      case .failure(let failure)
      where failure.isTransient(until: deadline, at: coordinator.clock.now):
        try await coordinator.pause(StoreFailure.transientPause)
      case .failure(let failure):
        guard isHeld else { throw notHeldError(phase) }
        throw LockError(failure, keys: keys, phase: phase)
      }
    }
  }

  /// Releases the lock, if it is still held.
  ///
  /// The lock counts as released from the moment of the call. Calling again does nothing and tells the
  /// same outcome. Cancelling the task does not keep the lock from being released.
  ///
  /// - Returns: Whether the lock was released, had expired, was deleted, or is another's.
  /// - Throws: ``LockError`` with the code `unreachable` or `refused` when the server did not answer
  ///   within the operation timeout; the release then goes on in the background, and the lock ends with
  ///   its ttl at the latest. A further call tries again. `lost` after ``detach()``; `closed` when
  ///   the locker was closed before the server answered, or in a child made by `fork(2)`.
  @discardableResult
  public func release() async throws -> ReleaseOutcome {
    coordinator.activity?.begin()
    defer { coordinator.activity?.end() }
    return try await giveBack()
  }

  /// Releases the lock, in a call that has been counted.
  func giveBack() async throws -> ReleaseOutcome {
    try coordinator.checkNotForked(keys, .release)
    if lease.ending == .detached { throw notHeldError(.release) }
    do {
      let promise = coordinator.release(lease, isAwaited: true)
      return try await promise.value(countedBy: coordinator.activity).get()
    } catch {
      throw LockError(error, keys: keys, phase: .release)
    }
  }

  /// Hands the release to the connection's queue, without waiting.
  func beginRelease() {
    if coordinator.forkGuard.isHere { coordinator.release(lease) }
  }

  /// The error for a lock that is not held though it should be.
  func notHeldError(_ phase: LockError.Phase?) -> LockError {
    if lease.ending == .revoked {
      return LockError(
        .closed, "the locker was closed while the lock was held", keys: keys, phase: phase)
    }
    let why = lease.lossExplanation.map { "the lock was lost: \($0)" }
    let ending =
      lease.ending == .detached ? "the lock was left to another process" : "the lock was released"
    return LockError(
      .lost, why ?? ending, keys: keys, phase: phase, holder: lease.newHolder,
      lossReason: lease.lossReason)
  }
}

extension Lock: CustomStringConvertible {
  /// The keys, and whether they are held, for logs.
  public var description: String {
    let names = keys.map(\.abbreviatedForMessage).joined(separator: ", ")
    let state = isHeld ? "held" : lossReason.map { "lost: \($0)" } ?? "released"
    return "lock on \(names), \(state)"
  }
}
