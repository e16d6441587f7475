extension Lock {
  /// Leaves the lock to another process, which takes it over with the claim check; nobody else gets it in between.
  ///
  /// The lock is prolonged once more, by its ttl. Then this handle has ended, as if released, and nobody
  /// extends the lock until it is taken over: that has to happen within the ttl. What was said of
  /// ``LockOptions/minHold`` and ``LockOptions/maxHold`` is forgotten.
  ///
  /// - Returns: What ``Locker/adopt(_:options:logger:)`` wants.
  /// - Throws: ``LockError`` with the code `lost` when the lock is no longer held, `unreachable` or
  ///   `refused` when it could not be prolonged, and then it is held as before; `CancellationError` when
  ///   the task is cancelled.
  public func detach() async throws -> ClaimCheck {
    try await prolong(by: lease.claim.ttl, phase: .detach)
    guard coordinator.detach(lease) else { throw notHeldError(.detach) }
    return ClaimCheck(keys: keys, token: token, fencingToken: fencingToken)
  }
}
