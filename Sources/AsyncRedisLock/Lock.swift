/// A held lock, until it is released or lost.
///
/// Release it with ``release()``. When the last reference to a handle goes away, the lock is released too, but
/// without reporting the outcome; that is meant for errors and early returns. If the lock was still held, one
/// warning is logged.
///
/// Don't rely on this to end the work: Swift may release a variable after its last use.
/// `_ = try await locker.acquire("key")` drops the handle, and with it the lock, at once.
/// ``Locker/withLock(_:options:logger:isolation:_:)-(String,_,_,_,_)`` has no such pitfalls.
///
/// The lock belongs to its handle, not to a task or a thread: any task may use the handle. It stays in its
/// process: in a child made by `fork(2)`, the handle counts as released and does nothing.
public final class Lock: Sendable {
  let coordinator: Coordinator
  let lease: Lease

  init(_ lease: Lease, coordinator: Coordinator) {
    self.lease = lease
    self.coordinator = coordinator
  }

  deinit {
    guard coordinator.forkGuard.isHere else {
      _ = unsafe Unmanaged.passRetained(lease)
      return coordinator.keepInForkedChild()
    }
    // Most locks have been released by now.
    if !lease.isBeingReleased { coordinator.release(lease, isDropped: true) }
  }

  /// The locked keys, without duplicates, sorted by their bytes.
  public var keys: [String] { lease.claim.keys }

  /// The value of the locked keys on the server.
  ///
  /// Holders of one locker share the token when the lock passes from one to the next within the process; the
  /// ``fencingToken`` tells them apart. If ``LockerConfiguration/localHandoffLimit`` is 0, every lock has its own
  /// token.
  public var token: String { lease.claim.token }

  /// A number greater than the number of every earlier lock on any of the same keys; nil if
  /// ``LockerConfiguration/isFencingEnabled`` is false.
  ///
  /// Numbers of locks on different keys say nothing about their order: some are drawn in blocks.
  ///
  /// For each key, tokens increase across all lockers that share a server, database and
  /// ``LockerConfiguration/keyPrefix``; other client libraries do not use them.
  ///
  /// Pass the token to the protected resource and have it reject any number lower than the highest it has seen. A
  /// holder that was paused past the end of its lock can then do no harm. The numbers start at the server's time
  /// in microseconds, and fit an `Int64`.
  public var fencingToken: UInt64? { lease.fencingToken }

  /// Whether the lock can be relied on at this instant.
  ///
  /// Decided locally, without asking the server: false from the instant at which the lock may have expired, even
  /// if the server cannot be reached.
  public var isHeld: Bool { coordinator.forkGuard.isHere && lease.isHeld }

  /// How much longer the lock can be relied on if no further extension succeeds; zero once it is lost or released.
  public var remaining: Duration {
    guard coordinator.forkGuard.isHere else { return .zero }
    let now = coordinator.clock.now
    let state = lease.state
    return state.isHeld(at: now) ? now.duration(to: state.validUntil) : .zero
  }

  /// Why the lock was lost; nil while it is held, and after a release that found it held.
  public var lossReason: LossReason? {
    coordinator.forkGuard.isHere ? lease.lossReason : nil
  }

  /// The new holder, if this lock was lost because the server says that another holder has it.
  public var newHolder: LockHolder? {
    coordinator.forkGuard.isHere ? lease.newHolder : nil
  }

  /// Waits until the lock is lost or released.
  ///
  /// Returns at once if the server says that the lock is gone, and at the end of the validity if the server does
  /// not answer. ``lossReason`` tells whether the lock was lost.
  ///
  /// - Throws: `CancellationError` if the task is cancelled.
  public func waitUntilLost() async throws(CancellationError) {
    coordinator.activity?.begin()
    defer { coordinator.activity?.end() }
    try await waitForEnd { _ in }
  }

  /// Waits until the lock is lost or released, or will be lost so soon that it is time to stop.
  ///
  /// - Parameter margin: How long before the end of the validity to return. Each successful extension postpones
  ///   that.
  /// - Throws: `CancellationError` if the task is cancelled.
  public func waitUntilLost(within margin: Duration) async throws(CancellationError) {
    // The caller may pass any duration, but not every one is safe to calculate with.
    let margin = min(max(margin, .zero), .longest)
    // In a forked child, not even a mutex may be touched: its owner can be a thread that does not exist there.
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

  /// Waits for the end of the lease, within a call that is already counted.
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
  /// Automatic extension goes on as before. If the call fails, the lock stays valid for as long as it was.
  ///
  /// - Parameter duration: At least 10 ms; with a quorum of servers, at most as long as the ttl may be.
  /// - Throws: ``LockError`` with the code `lost` if the lock is no longer held. The code is `unreachable` or
  ///   `refused` if the server did not prolong it within the operation timeout. It is `invalidOptions` if the
  ///   duration is out of range or ``LockOptions/maxHold`` forbids it. It is `closed` if the locker was closed
  ///   while the lock was held, or in a child made by `fork(2)`. If the task is cancelled, throws
  ///   `CancellationError`.
  public func extend(by duration: Duration) async throws {
    try duration.validate(as: "duration", atLeast: LockOptions.minimumTTL)
    try duration.check(as: "duration", againstRestartDelay: coordinator.store.longestTTL)
    if isHeld, let end = lease.state.holdEnd, coordinator.clock.now + duration > end {
      throw LockError(
        .invalidOptions,
        "duration (\(duration.roundedForMessage)) goes past the end that maxHold sets", keys: keys,
        phase: .extend)
    }
    try await prolong(by: duration, phase: .extend)
  }

  /// Prolongs the lock, at most to the end of the time for which it may be held.
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
  /// The lock counts as released from the moment of the call. Further calls do nothing and return the same
  /// outcome. The lock is released even if the task is cancelled.
  ///
  /// - Returns: Whether the lock was released, had expired, was deleted, or belongs to another holder.
  /// - Throws: ``LockError`` with the code `unreachable` or `refused` if the server did not answer within the
  ///   operation timeout. The release then goes on in the background, and the lock ends with its ttl at the
  ///   latest. A further call tries again, and returns `released` also if the lock is gone by then. The code is
  ///   `lost` after ``detach()``. It is `closed` if the locker was closed before the server answered, or in a child
  ///   made by `fork(2)`.
  @discardableResult
  public func release() async throws -> ReleaseOutcome {
    coordinator.activity?.begin()
    defer { coordinator.activity?.end() }
    return try await giveBack()
  }

  /// Releases the lock, within a call that is already counted.
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

  /// The error for a lock that should be held and is not.
  func notHeldError(_ phase: LockError.Phase?) -> LockError {
    if lease.ending == .revoked {
      return LockError(
        .closed, "the locker was closed while the lock was held", keys: keys, phase: phase)
    }
    let why = lease.lossExplanation.map { "the lock was lost: \($0)" }
    let ending =
      lease.ending == .detached
      ? "the lock was detached for another process" : "the lock was released"
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
