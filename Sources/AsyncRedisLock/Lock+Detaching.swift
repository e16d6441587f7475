extension Lock {
  /// Leaves the lock to another process, which takes it over with the detached lock; nobody else gets it in between.
  ///
  /// The lock is prolonged once more, by its ttl. Then this handle has ended, as if released, and nobody
  /// extends the lock until it is taken over: that has to happen within the ttl. ``LockOptions/minHold`` and
  /// ``LockOptions/maxHold`` no longer apply.
  ///
  /// - Returns: What ``Locker/adopt(_:options:logger:)`` wants.
  /// - Throws: ``LockError`` with the code `lost` when the lock is no longer held, `unreachable` or
  ///   `refused` when it could not be prolonged, and then it is held as before; `closed` when the
  ///   locker was closed under the lock, or in a child made by `fork(2)`; `CancellationError` when the task is cancelled.
  public func detach() async throws -> DetachedLock {
    try await prolong(by: lease.claim.ttl, phase: .detach)
    guard coordinator.detach(lease) else { throw notHeldError(.detach) }
    return DetachedLock(keys: keys, token: token, fencingToken: fencingToken)
  }
}
