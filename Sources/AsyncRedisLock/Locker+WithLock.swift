public import Logging

extension Locker {
  /// Waits for a lock, runs a body while it is held, and releases it.
  ///
  /// The lock is released when the body has ended, however it ends. Cancelling the task cancels the body,
  /// which holds the lock until it returns or throws. When the lock is lost, the body's task is cancelled at
  /// once, and what the body returns after that is dropped. A release that the server does not answer is no
  /// error: it goes on in the background, and the lock ends with its ttl at the latest.
  ///
  /// - Parameters:
  ///   - key: The key to lock, as it is on the server.
  ///   - options: How to wait, and how to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: Gets the messages about this lock; the locker's own if nil.
  ///   - isolation: The actor that the body runs on; the caller's, unless given.
  ///   - body: What to do while the lock is held.
  /// - Returns: What the body returns.
  /// - Throws: What the body throws; ``LockError`` with the code `lost` when the lock was lost before the
  ///   body returned, also in place of the `CancellationError` that this caused; and as
  ///   ``acquire(_:options:logger:)-(String,_,_)``.
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
  ///   - keys: The keys to lock; duplicates count once.
  ///   - options: How to wait, and how to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: Gets the messages about this lock; the locker's own if nil.
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

  /// Runs a body under a lock if nobody else holds it, without waiting.
  ///
  /// - Parameters:
  ///   - key: The key to lock, as it is on the server.
  ///   - options: How to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: Gets the messages about this lock; the locker's own if nil.
  ///   - isolation: The actor that the body runs on; the caller's, unless given.
  ///   - body: What to do while the lock is held.
  /// - Returns: What the body returns, or nil when somebody else holds the lock and the body did not run.
  /// - Throws: As ``withLock(_:options:logger:isolation:_:)-(String,_,_,_,_)``, but never `timeout`.
  public func withLockIfAvailable<R>(
    _ key: String, options: LockOptions? = nil, logger: Logger? = nil,
    isolation: isolated (any Actor)? = #isolation,
    _ body: (Lock) async throws -> sending R
  ) async throws -> sending R? {
    try await withLockIfAvailable(
      [key], options: options, logger: logger, isolation: isolation, body)
  }

  /// Runs a body under several locks if nobody else holds any of them, without waiting.
  ///
  /// - Parameters:
  ///   - keys: The keys to lock; duplicates count once.
  ///   - options: How to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: Gets the messages about this lock; the locker's own if nil.
  ///   - isolation: The actor that the body runs on; the caller's, unless given.
  ///   - body: What to do while the lock is held.
  /// - Returns: What the body returns, or nil when somebody else holds a key and the body did not run.
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
