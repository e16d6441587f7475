public import Logging

// Calls that are often written at first. Each of them only says, at compile time, what to write instead.

extension Locker {
  /// Not available: the message says what to write.
  @available(
    *, unavailable, message: "several keys go into an array: withLock([\"a\", \"b\"]) { … }"
  )
  public func withLock<R>(
    _ first: String, _ second: String, _ others: String..., options: LockOptions? = nil,
    logger: Logger? = nil, isolation: isolated (any Actor)? = #isolation,
    _ body: (Lock) async throws -> sending R
  ) async throws -> sending R { fatalError() }

  /// Not available: the message says what to write.
  @available(
    *, unavailable,
    message: "several keys go into an array: withLockIfAvailable([\"a\", \"b\"]) { … }"
  )
  public func withLockIfAvailable<R>(
    _ first: String, _ second: String, _ others: String..., options: LockOptions? = nil,
    logger: Logger? = nil, isolation: isolated (any Actor)? = #isolation,
    _ body: (Lock) async throws -> sending R
  ) async throws -> sending R? { fatalError() }

  /// Not available: the message says what to write.
  @available(
    *, unavailable,
    message: "durations go into options: withLock(key, options: LockOptions(timeout: …))"
  )
  public func withLock<R>(
    _ key: String, timeout: Duration?, isolation: isolated (any Actor)? = #isolation,
    _ body: (Lock) async throws -> sending R
  ) async throws -> sending R { fatalError() }

  /// Not available: the message says what to write.
  @available(
    *, unavailable,
    message: "durations go into options: withLock(key, options: LockOptions(ttl: …))"
  )
  public func withLock<R>(
    _ key: String, ttl: Duration?, isolation: isolated (any Actor)? = #isolation,
    _ body: (Lock) async throws -> sending R
  ) async throws -> sending R { fatalError() }

  /// Not available: the message says what to write.
  @available(
    *, unavailable,
    message: "durations go into options: acquire(key, options: LockOptions(timeout: …))"
  )
  public func acquire(_ key: String, timeout: Duration?) async throws -> Lock { fatalError() }

  /// Not available: the message says what to write.
  @available(
    *, unavailable, message: "durations go into options: acquire(key, options: LockOptions(ttl: …))"
  )
  public func acquire(_ key: String, ttl: Duration?) async throws -> Lock { fatalError() }

  /// Not available: the message says what to write.
  @available(
    *, unavailable,
    message:
      "an acquisition that does not wait has no timeout; to wait, write acquire(key, options: LockOptions(timeout: …))"
  )
  public func acquireIfAvailable(_ key: String, timeout: Duration?) async throws -> Lock? {
    fatalError()
  }
  /// Not available: the message says what to write.
  @available(
    *, unavailable,
    message:
      "a call that does not wait has no timeout; to wait, write withLock(key, options: LockOptions(timeout: …))"
  )
  public func withLockIfAvailable<R>(
    _ key: String, timeout: Duration?, isolation: isolated (any Actor)? = #isolation,
    _ body: (Lock) async throws -> sending R
  ) async throws -> sending R? { fatalError() }

  /// Not available: the message says what to write.
  @available(*, unavailable, message: "write withLock(key) { … }, or acquire(key) for a handle")
  public func lock(_ key: String) async throws -> Lock { fatalError() }

  /// Not available: the message says what to write.
  @available(
    *, unavailable,
    message: "write withLockIfAvailable(key) { … }, or acquireIfAvailable(key) for a handle"
  )
  public func tryLock(_ key: String) async throws -> Lock? { fatalError() }

  /// Not available: the message says what to write.
  @available(
    *, unavailable,
    message:
      "a lock is released by its handle: lock.release(); forceRelease(key) takes it from any holder"
  )
  public func release(_ key: String) async throws { fatalError() }
}

extension Lock {
  /// Not available: the message says what to write.
  @available(*, unavailable, message: "write release()")
  public func unlock() async throws { fatalError() }
}

extension LockError {
  /// Not available: the message says what to write.
  @available(*, unavailable, message: "in a catch, write LockError.Code.timeout")
  public static var timeout: Code { Code.timeout }

  /// Not available: the message says what to write.
  @available(*, unavailable, message: "in a catch, write LockError.Code.lost")
  public static var lost: Code { Code.lost }

  /// Not available: the message says what to write.
  @available(*, unavailable, message: "in a catch, write LockError.Code.unreachable")
  public static var unreachable: Code { Code.unreachable }

  /// Not available: the message says what to write.
  @available(*, unavailable, message: "in a catch, write LockError.Code.refused")
  public static var refused: Code { Code.refused }

  /// Not available: the message says what to write.
  @available(*, unavailable, message: "in a catch, write LockError.Code.closed")
  public static var closed: Code { Code.closed }
}

extension Optional where Wrapped == Lock {
  /// Tells whether there is a handle, which is released as soon as the last reference to it goes away.
  ///
  /// In `if try await locker.acquireIfAvailable("key") != nil { … }`, that is before the braces: the work would
  /// run without the lock.
  @available(
    *, deprecated,
    message:
      "a handle that only this comparison refers to is released before the next line: write `if let lock = …`, or use withLockIfAvailable; of a handle that is kept, ask isHeld"
  )
  public static func != (lock: Lock?, nothing: _OptionalNilComparisonType) -> Bool {
    switch lock {
    case .some: true
    case .none: false
    }
  }
}
