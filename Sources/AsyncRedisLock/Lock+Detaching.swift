extension Lock {
  /// Leaves the lock to another process, which takes it over with the detached lock; no other client gets it in
  /// between.
  ///
  /// The lock is prolonged once more, by its ttl. Then this handle has ended, as if released, and the lock is no
  /// longer extended: the other process has to adopt it within the ttl. ``LockOptions/minHold`` and
  /// ``LockOptions/maxHold`` no longer apply.
  ///
  /// - Returns: The value to pass to ``Locker/adopt(_:options:logger:)``.
  /// - Throws: ``LockError`` with the code `lost` if the lock is no longer held. The code is `unreachable` or
  ///   `refused` if the lock could not be prolonged; it is then held as before. It is `closed` if the locker was
  ///   closed while the lock was held, or in a child made by `fork(2)`. If the task is cancelled, throws
  ///   `CancellationError`.
  public func detach() async throws -> DetachedLock {
    try await prolong(by: lease.claim.ttl, phase: .detach)
    guard coordinator.detach(lease) else { throw notHeldError(.detach) }
    return DetachedLock(keys: keys, token: token, fencingToken: fencingToken)
  }
}
