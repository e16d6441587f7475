public import Logging

extension Locker {
  /// Waits for a lock, runs a body while it is held, and releases it.
  ///
  /// The lock is released when the body has ended, however it ends. Cancelling the task cancels the body, which
  /// holds the lock until it returns or throws. If the lock is lost, the body's task is cancelled at once, and the
  /// body's later result is dropped. If the server does not answer the release, `withLock` still returns normally.
  /// The release is retried in the background, and the lock expires with its ttl at the latest.
  ///
  /// - Parameters:
  ///   - key: The key to lock, as it is on the server.
  ///   - options: How to wait, and how to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: The logger for messages about this lock; the locker's own if nil.
  ///   - isolation: The actor that the body runs on; the caller's, unless given.
  ///   - body: What to do while the lock is held.
  /// - Returns: What the body returns.
  /// - Throws: Any error that the body throws. If the lock was lost before the body returned, throws ``LockError``
  ///   with the code `lost`, also in place of the resulting `CancellationError`. Throws the errors of
  ///   ``acquire(_:options:logger:)-(String,_,_)``, too.
  public func withLock<R>(
    _ key: String, options: LockOptions? = nil, logger: Logger? = nil,
    isolation: isolated (any Actor)? = #isolation,
    _ body: (Lock) async throws -> sending R
  ) async throws -> sending R {
    try await withLock([key], options: options, logger: logger, isolation: isolation, body)
  }

  /// Waits for several locks, runs a body while all are held, and releases them.
  ///
  /// - Parameters:
  ///   - keys: The keys to lock; duplicates count once. Their number times their length together is
  ///     at most 16 MiB.
  ///   - options: How to wait, and how to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: The logger for messages about this lock; the locker's own if nil.
  ///   - isolation: The actor that the body runs on; the caller's, unless given.
  ///   - body: What to do while the lock is held.
  /// - Returns: What the body returns.
  /// - Throws: As ``withLock(_:options:logger:isolation:_:)-(String,_,_,_,_)``.
  public func withLock<R>(
    _ keys: [String], options: LockOptions? = nil, logger: Logger? = nil,
    isolation: isolated (any Actor)? = #isolation,
    _ body: (Lock) async throws -> sending R
  ) async throws -> sending R {
    coordinator.activity?.begin()
    defer { coordinator.activity?.end() }
    let lock = try await takeWaiting(keys, options, logger)
    return try await lock.run(isolation: isolation, body)
  }

  /// Runs a body under a lock if no other holder has it, without waiting.
  ///
  /// - Parameters:
  ///   - key: The key to lock, as it is on the server.
  ///   - options: How to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: The logger for messages about this lock; the locker's own if nil.
  ///   - isolation: The actor that the body runs on; the caller's, unless given.
  ///   - body: What to do while the lock is held.
  /// - Returns: What the body returns, or nil if another holder has the lock and the body did not run.
  /// - Throws: As ``withLock(_:options:logger:isolation:_:)-(String,_,_,_,_)``, but never `timeout`.
  public func withLockIfAvailable<R>(
    _ key: String, options: LockOptions? = nil, logger: Logger? = nil,
    isolation: isolated (any Actor)? = #isolation,
    _ body: (Lock) async throws -> sending R
  ) async throws -> sending R? {
    try await withLockIfAvailable(
      [key], options: options, logger: logger, isolation: isolation, body)
  }

  /// Runs a body under several locks if no other holder has any of them, without waiting.
  ///
  /// - Parameters:
  ///   - keys: The keys to lock; duplicates count once. Their number times their length together is
  ///     at most 16 MiB.
  ///   - options: How to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: The logger for messages about this lock; the locker's own if nil.
  ///   - isolation: The actor that the body runs on; the caller's, unless given.
  ///   - body: What to do while the lock is held.
  /// - Returns: What the body returns, or nil if another holder has a key and the body did not run.
  /// - Throws: As ``withLock(_:options:logger:isolation:_:)-(String,_,_,_,_)``, but never `timeout`.
  public func withLockIfAvailable<R>(
    _ keys: [String], options: LockOptions? = nil, logger: Logger? = nil,
    isolation: isolated (any Actor)? = #isolation,
    _ body: (Lock) async throws -> sending R
  ) async throws -> sending R? {
    coordinator.activity?.begin()
    defer { coordinator.activity?.end() }
    guard let lock = try await takeIfAvailable(keys, options, logger) else { return nil }
    return try await lock.run(isolation: isolation, body)
  }
}
