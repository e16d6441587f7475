public import Logging

extension Locker {
  /// Takes over a lock that another process has left with ``Lock/detach()``; it is never free in between.
  ///
  /// The lock gets a token and a fencing token of its own, so that a detached lock works only once and its former
  /// holder is fenced off. If the server does not answer, the lock is given back as far as possible, and the
  /// detached lock counts as used. If the servers of a quorum refuse, the lock stays as it was: see <doc:Quorums>.
  ///
  /// - Parameters:
  ///   - check: The value that `detach()` returned.
  ///   - options: How to keep the lock; ``LockerConfiguration/lockOptions`` if nil. ``LockOptions/retry`` and
  ///     ``LockOptions/timeout`` have no effect.
  ///   - logger: The logger for messages about this lock, including later ones; the locker's own if nil.
  /// - Returns: The lock, held by this process.
  /// - Throws: ``LockError`` with the code `lost` if the lock has expired, has been taken over, or belongs to
  ///   another holder. The code is `unreachable` or `refused` if the server did not answer or kept refusing within
  ///   the operation timeout. It can also be `invalidKey`, `invalidOptions` or `closed`. If the task is cancelled,
  ///   throws `CancellationError`.
  public func adopt(
    _ check: DetachedLock, options: LockOptions? = nil, logger: Logger? = nil
  ) async throws -> Lock {
    coordinator.activity?.begin()
    defer { coordinator.activity?.end() }
    let keys = try self.check(check.keys)
    let lock = try await make(keys, options, logger, .adopt) { coordinator, options, _ in
      try await coordinator.adopt(keys, from: check.token, options: options)
    }
    guard let lock else { preconditionFailure("Taking over ends with a lock or an error.") }
    return lock
  }
}
