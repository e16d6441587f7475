public import Logging

extension Locker {
  /// Takes a lock over that another process has left with ``Lock/detach()``; it is never free in between.
  ///
  /// The lock gets a token and a fencing token of its own, so that a detached lock can be used once, and its
  /// former holder is fenced off. Without an answer of the server the lock is given back, as far as it can
  /// be, and the detached lock counts as used.
  ///
  /// - Parameters:
  ///   - check: What `detach()` returned.
  ///   - options: How to keep the lock; ``LockerConfiguration/lockOptions`` if nil. ``LockOptions/retry`` and
  ///     ``LockOptions/timeout`` play no part.
  ///   - logger: Gets the messages about this lock, also those that come later; the locker's own if nil.
  /// - Returns: The lock, held by this process.
  /// - Throws: ``LockError`` with the code `lost` when the lock has expired, has been taken over, or is
  ///   another's; `unreachable` or `refused` when the server was no help within the operation timeout;
  ///   `invalidKey`, `invalidOptions` or `closed`; `CancellationError` when the task is cancelled.
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
