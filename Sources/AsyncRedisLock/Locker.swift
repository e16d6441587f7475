public import Logging

/// Takes locks on one server, over one connection that any number of tasks share.
///
/// ```swift
/// let locker = try await Locker(url: "redis://127.0.0.1:6379")
/// try await locker.withLock("invoices") { lock in
///   try await bill(fence: lock.fencingToken)
/// }
/// ```
///
/// ``init(connectingLazilyTo:logger:)-(String,_)`` makes one without waiting for the server, for a service that has to
/// start while the server is down.
///
/// It works in the process that made it: in a child made by `fork(2)` every call throws `closed`, and nothing
/// is said on the connection of the parent.
public final class Locker: Sendable {
  package let coordinator: Coordinator
  package let keyPrefix: String
  private let lockOptions: LockOptions

  /// A random identity, of 16 hexadecimal digits: others see it as ``LockHolder/lockerID``.
  public let id: String

  /// Creates a locker for a server that has not been connected to.
  ///
  /// - Throws: ``LockError`` with the code `invalidOptions` for a bad configuration, `unreachable` if the system
  ///   has no descriptor left.
  init(
    _ configuration: LockerConfiguration, unconnectedOn machine: any Machine, reporter: Reporter
  ) throws(LockError) {
    try configuration.validate()
    do throws(StoreFailure) {
      let store = try RedisLockStore(configuration, on: machine, reporter: reporter)
      let storeID = "\(configuration.address)/\(configuration.database)"
      coordinator = Coordinator(configuration, store: store, storeID: storeID, reporter: reporter)
      keyPrefix = configuration.keyPrefix
      lockOptions = configuration.lockOptions
      id = store.lockerID
    } catch {
      throw LockError(error, keys: [], phase: .connect)
    }
  }

  /// Creates a locker that keeps its locks in a store, which needs no connecting.
  package init(
    _ configuration: LockerConfiguration, in store: any LockStore, storeID: String, logger: Logger
  ) {
    let reporter = Reporter(
      logger: logger, label: configuration.label, countedBy: store.clock.activity)
    reporter.identify(as: store.lockerID)
    coordinator = Coordinator(
      configuration, store: store, storeID: storeID, reporter: reporter)
    keyPrefix = configuration.keyPrefix
    lockOptions = configuration.lockOptions
    id = store.lockerID
  }

  // MARK: Handles

  /// Waits for a lock and takes it.
  ///
  /// - Parameters:
  ///   - key: The key to lock, as it is on the server; from 1 byte to 512 KiB, and not beginning with
  ///     ``LockerConfiguration/keyPrefix``.
  ///   - options: How to wait, and how to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: Gets the messages about this lock, also those that come later; the locker's own if nil.
  /// - Returns: The lock, held until it is released, lost, or nobody refers to its handle any more.
  /// - Throws: ``LockError`` with the code `timeout` when somebody else held the lock for all of
  ///   ``LockOptions/timeout``; `unreachable` when the server could not be reached for as long; `refused` when
  ///   it kept refusing for as long, or at once where waiting cannot help; `tooManyWaiters` at once where
  ///   ``LockerConfiguration/maxWaiters`` says so; `wouldDeadlock` when the task holds the key by `withLock`;
  ///   `invalidKey`, `invalidOptions`, or `closed`. `CancellationError` when the task is cancelled. In every
  ///   case no lock stays behind.
  public func acquire(
    _ key: String, options: LockOptions? = nil, logger: Logger? = nil
  ) async throws -> Lock {
    try await acquire([key], options: options, logger: logger)
  }

  /// Waits for several locks and takes all of them, or none.
  ///
  /// - Parameters:
  ///   - first: A key to lock.
  ///   - second: A further key to lock.
  ///   - others: More keys to lock; duplicates count once.
  ///   - options: How to wait, and how to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: Gets the messages about this lock, also those that come later; the locker's own if nil.
  /// - Returns: One lock for all keys.
  /// - Throws: As ``acquire(_:options:logger:)-(String,_,_)``.
  public func acquire(
    _ first: String, _ second: String, _ others: String..., options: LockOptions? = nil,
    logger: Logger? = nil
  ) async throws -> Lock {
    try await acquire([first, second] + others, options: options, logger: logger)
  }

  /// Waits for several locks and takes all of them, or none.
  ///
  /// - Parameters:
  ///   - keys: The keys to lock; duplicates count once.
  ///   - options: How to wait, and how to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: Gets the messages about this lock, also those that come later; the locker's own if nil.
  /// - Returns: One lock for all keys.
  /// - Throws: As ``acquire(_:options:logger:)-(String,_,_)``.
  public func acquire(
    _ keys: [String], options: LockOptions? = nil, logger: Logger? = nil
  ) async throws -> Lock {
    coordinator.activity?.begin()
    defer { coordinator.activity?.end() }
    return try await takeWaiting(keys, options, logger)
  }

  /// Waits for a lock, in a call that has been counted.
  func takeWaiting(
    _ keys: [String], _ options: LockOptions?, _ logger: Logger?
  ) async throws -> Lock {
    let keys = try check(keys)
    try HeldLocks.current.check(keys.names, in: coordinator.storeID)
    guard let lock = try await take(keys, options, waits: true, logger) else {
      preconditionFailure("An acquisition that waits ends with a lock or an error.")
    }
    return lock
  }

  /// Takes a lock if nobody holds it, without waiting for a holder.
  ///
  /// The server has the smaller of the ttl and ``LockerConfiguration/operationTimeout`` to answer.
  ///
  /// - Parameters:
  ///   - key: The key to lock, as it is on the server.
  ///   - options: How to keep the lock; ``LockerConfiguration/lockOptions`` if nil. ``LockOptions/retry`` and
  ///     ``LockOptions/timeout`` play no part.
  ///   - logger: Gets the messages about this lock, also those that come later; the locker's own if nil.
  /// - Returns: The lock, or nil when somebody else holds it.
  /// - Throws: As ``acquire(_:options:logger:)-(String,_,_)``, but never `timeout` or `wouldDeadlock`.
  public func acquireIfAvailable(
    _ key: String, options: LockOptions? = nil, logger: Logger? = nil
  ) async throws -> Lock? {
    try await acquireIfAvailable([key], options: options, logger: logger)
  }

  /// Takes several locks if nobody holds any of them, without waiting for a holder.
  ///
  /// - Parameters:
  ///   - keys: The keys to lock; duplicates count once.
  ///   - options: How to keep the lock; ``LockerConfiguration/lockOptions`` if nil. ``LockOptions/retry`` and
  ///     ``LockOptions/timeout`` play no part.
  ///   - logger: Gets the messages about this lock, also those that come later; the locker's own if nil.
  /// - Returns: One lock for all keys, or nil when somebody else holds one of them.
  /// - Throws: As ``acquire(_:options:logger:)-(String,_,_)``, but never `timeout` or `wouldDeadlock`.
  public func acquireIfAvailable(
    _ keys: [String], options: LockOptions? = nil, logger: Logger? = nil
  ) async throws -> Lock? {
    coordinator.activity?.begin()
    defer { coordinator.activity?.end() }
    return try await takeIfAvailable(keys, options, logger)
  }

  /// Takes a lock without waiting, in a call that has been counted.
  func takeIfAvailable(
    _ keys: [String], _ options: LockOptions?, _ logger: Logger?
  ) async throws -> Lock? {
    try await take(check(keys), options, waits: false, logger)
  }

  /// Checks and sorts the keys of a call.
  func check(_ keys: [String]) throws(LockError) -> LockKeys {
    let keys = try LockKeys(keys)
    for name in keys.names where name.utf8.starts(with: keyPrefix.utf8) {
      throw LockError(
        .invalidKey,
        "the key \(name.abbreviatedForMessage) must not begin with the prefix of the locker's own keys",
        keys: keys.names)
    }
    return keys
  }

  private func take(
    _ keys: LockKeys, _ options: LockOptions?, waits: Bool, _ logger: Logger?
  ) async throws -> Lock? {
    try await make(keys, options, logger, .acquire) { coordinator, options, trace in
      try await coordinator.acquire(keys, options: options, waits: waits, trace: trace)
    }
  }

  /// Makes a lock of the lease that a call gets, if any, and reports on that.
  func make(
    _ keys: LockKeys, _ options: LockOptions?, _ logger: Logger?, _ phase: LockError.Phase,
    by call: (Coordinator, LockOptions, AcquisitionTrace?) async throws -> Lease?
  ) async throws -> Lock? {
    var options = options ?? lockOptions
    try options.validate()
    // What the server gets is what the validity is counted from.
    options.ttl = .milliseconds(options.ttl.wholeMilliseconds)
    let (reporter, start) = (coordinator.reporter, coordinator.clock.now)
    let trace = reporter.acquiring(keys.names, phase)
    func waited() -> Duration { start.duration(to: coordinator.clock.now) }
    do {
      guard let lease = try await call(coordinator, options, trace) else {
        reporter.acquiredNothing(
          keys.names, because: nil, waited: waited(), logger: logger, trace: trace)
        return nil
      }
      if let logger { lease.logger = logger }
      reporter.acquired(lease, waited: waited(), logger: logger, trace: trace)
      return Lock(lease, coordinator: coordinator)
    } catch {
      reporter.acquiredNothing(
        keys.names, because: error, waited: waited(), logger: logger, trace: trace)
      throw error
    }
  }

  // MARK: Looking and intervening

  /// Asks the server who holds a key, and who waits for it.
  ///
  /// - Parameter key: The key, as it is on the server.
  /// - Returns: The holder, the time left, and who waits; nil when the key is free.
  /// - Throws: ``LockError`` with the code `unreachable` or `refused`, also for a key that is no lock;
  ///   `invalidKey` or `closed`; `CancellationError` when the task is cancelled.
  public func inspect(_ key: String) async throws -> LockStatus? {
    let name = try check([key]).names[0]
    return try await ask(.inspect, about: [name]) { store, deadline throws(StoreFailure) in
      try await store.inspect(name, by: deadline).map { LockStatus(key: name, $0) }
    }
  }

  /// Takes a key from whoever holds it, and hands it to the first who waits; the holder notices at its next
  /// extension, or at the end of its validity if it is not extended.
  ///
  /// Until then two may believe that they hold the lock, so this is for holders that are known to be
  /// gone. A key that holds no string is no lock and is left alone.
  ///
  /// - Parameter key: The key, as it is on the server.
  /// - Returns: Who held the key, or nil when it was free.
  /// - Throws: As ``inspect(_:)``.
  @discardableResult
  public func forceRelease(_ key: String) async throws -> LockHolder? {
    let name = try check([key]).names[0]
    return try await ask(.forceRelease, about: [name]) { store, deadline throws(StoreFailure) in
      try await store.forceRelease(name, by: deadline).map(LockHolder.init(value:))
    }
  }

  /// Asks the store, again while that makes sense, within the operation timeout.
  func ask<Answer>(
    _ phase: LockError.Phase, about keys: [String],
    _ question: (any LockStore, Instant) async throws(StoreFailure) -> Answer
  ) async throws -> Answer {
    try coordinator.checkNotForked(keys, phase)
    coordinator.activity?.begin()
    defer { coordinator.activity?.end() }
    let deadline = coordinator.clock.now + coordinator.operationTimeout
    while true {
      do throws(StoreFailure) {
        return try await question(coordinator.store, deadline)
      } catch .cancelled {
        throw CancellationError()
      } catch {
        guard error.isTransient(until: deadline, at: coordinator.clock.now) else {
          throw LockError(error, keys: keys, phase: phase)
        }
        try await coordinator.pause(StoreFailure.transientPause)
      }
    }
  }

  /// Releases what is held, wakes who waits with an error of the code `closed`, and disconnects.
  ///
  /// Bodies of `withLock` that run are cancelled, and `withLock` throws `closed`.
  ///
  /// Takes no longer than the operation timeout, and may be called twice.
  public func close() async { await coordinator.close() }

  /// Takes nothing new, wakes who waits with an error of the code `closed`, waits until what is held has been
  /// released or lost, and closes.
  ///
  /// For a process that is about to end and lets its work come to an end first. Cancelling the task ends the
  /// waiting, and the locker is closed at once.
  ///
  /// - Throws: ``LockError`` with the code `wouldDeadlock`, and nothing is closed, when the task itself holds a lock
  ///   of this locker by `withLock`.
  public func closeWhenReleased() async throws {
    try HeldLocks.current.checkNone(of: coordinator.extender.leases)
    await coordinator.closeWhenReleased()
  }
}
