public import Logging

/// Takes locks on one server, over one connection that any number of tasks can share.
///
/// ```swift
/// let locker = try await Locker(url: "redis://127.0.0.1:6379")
/// try await locker.withLock("invoices") { lock in
///   try await bill(fence: lock.fencingToken)
/// }
/// ```
///
/// ``init(connectingLazilyTo:logger:)-(String,_)`` creates one without waiting for the server, for a service that
/// has to start while the server is down.
///
/// A locker works only in the process that created it. After `fork(2)`, every call in the child throws `closed`
/// and sends nothing on the parent's connection.
public final class Locker: Sendable {
  package let coordinator: Coordinator
  package let keyPrefix: String
  private let lockOptions: LockOptions

  /// A random identity of 16 hexadecimal digits, which other clients see as ``LockHolder/lockerID``.
  public let id: String

  /// Creates a locker that is not connected yet.
  ///
  /// - Throws: ``LockError`` with the code `invalidOptions` for a bad configuration, or `unreachable` if the
  ///   system has no file descriptor left.
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

  /// Creates a locker that keeps its locks in a store.
  init(
    _ configuration: LockerConfiguration, in store: any LockStore, storeID: String,
    reporter: Reporter
  ) {
    reporter.identify(as: store.lockerID)
    coordinator = Coordinator(
      configuration, store: store, storeID: storeID, reporter: reporter)
    keyPrefix = configuration.keyPrefix
    lockOptions = configuration.lockOptions
    id = store.lockerID
  }

  /// Creates a locker that keeps its locks in a store, which needs no connection.
  package convenience init(
    _ configuration: LockerConfiguration, in store: any LockStore, storeID: String, logger: Logger
  ) {
    self.init(
      configuration, in: store, storeID: storeID,
      reporter: Reporter(
        logger: logger, label: configuration.label, countedBy: store.clock.activity))
  }

  deinit {
    if !coordinator.forkGuard.isHere { coordinator.keepInForkedChild() }
  }

  // MARK: Handles

  /// Waits for a lock and takes it.
  ///
  /// - Parameters:
  ///   - key: The key to lock, as it is on the server; from 1 byte to 512 KiB, and not beginning with
  ///     ``LockerConfiguration/keyPrefix``.
  ///   - options: How to wait, and how to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: The logger for messages about this lock, including later ones; the locker's own if nil.
  /// - Returns: The lock, held until it is released, it is lost, or the last reference to its handle goes away.
  /// - Throws: ``LockError``, or `CancellationError` if the task is cancelled. In every case, no lock stays
  ///   behind. The code is `timeout` if another holder had the lock for all of ``LockOptions/timeout``, and
  ///   `unreachable` if the server could not be reached for that long. It is `refused` if the server kept refusing
  ///   for that long, or at once if waiting cannot help. It is `tooManyWaiters`, at once, if
  ///   ``LockerConfiguration/maxWaiters`` tasks wait already. It is `wouldDeadlock` if the task holds the key by
  ///   `withLock`. It can also be `invalidKey`, `invalidOptions` or `closed`.
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
  ///   - others: More keys to lock; duplicates count once. Their number times their length together is
  ///     at most 16 MiB.
  ///   - options: How to wait, and how to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: The logger for messages about this lock, including later ones; the locker's own if nil.
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
  ///   - keys: The keys to lock; duplicates count once. Their number times their length together is
  ///     at most 16 MiB.
  ///   - options: How to wait, and how to keep the lock; ``LockerConfiguration/lockOptions`` if nil.
  ///   - logger: The logger for messages about this lock, including later ones; the locker's own if nil.
  /// - Returns: One lock for all keys.
  /// - Throws: As ``acquire(_:options:logger:)-(String,_,_)``.
  public func acquire(
    _ keys: [String], options: LockOptions? = nil, logger: Logger? = nil
  ) async throws -> Lock {
    coordinator.activity?.begin()
    defer { coordinator.activity?.end() }
    return try await takeWaiting(keys, options, logger)
  }

  /// Waits for a lock, within a call that is already counted.
  func takeWaiting(
    _ keys: [String], _ options: LockOptions?, _ logger: Logger?
  ) async throws -> Lock {
    let keys = try check(keys)
    // Before the leases, whose mutexes can be locked for ever in a forked child.
    try coordinator.checkNotForked(keys.names, .acquire)
    let held = HeldLocks.current
    if !held.isEmpty { try held.check(keys.names, in: coordinator.storeID) }
    guard let lock = try await take(keys, options, waits: true, logger) else {
      preconditionFailure("An acquisition that waits ends with a lock or an error.")
    }
    return lock
  }

  /// Takes a lock if it is free, without waiting for a holder.
  ///
  /// The server has to answer within the smaller of the ttl and ``LockerConfiguration/operationTimeout``.
  ///
  /// - Parameters:
  ///   - key: The key to lock, as it is on the server.
  ///   - options: How to keep the lock; ``LockerConfiguration/lockOptions`` if nil. ``LockOptions/retry`` and
  ///     ``LockOptions/timeout`` have no effect.
  ///   - logger: The logger for messages about this lock, including later ones; the locker's own if nil.
  /// - Returns: The lock, or nil if another holder has it.
  /// - Throws: As ``acquire(_:options:logger:)-(String,_,_)``, but never `timeout` or `wouldDeadlock`.
  public func acquireIfAvailable(
    _ key: String, options: LockOptions? = nil, logger: Logger? = nil
  ) async throws -> Lock? {
    try await acquireIfAvailable([key], options: options, logger: logger)
  }

  /// Takes several locks if all of them are free, without waiting for a holder.
  ///
  /// - Parameters:
  ///   - keys: The keys to lock; duplicates count once. Their number times their length together is
  ///     at most 16 MiB.
  ///   - options: How to keep the lock; ``LockerConfiguration/lockOptions`` if nil. ``LockOptions/retry`` and
  ///     ``LockOptions/timeout`` have no effect.
  ///   - logger: The logger for messages about this lock, including later ones; the locker's own if nil.
  /// - Returns: One lock for all keys, or nil if another holder has one of them.
  /// - Throws: As ``acquire(_:options:logger:)-(String,_,_)``, but never `timeout` or `wouldDeadlock`.
  public func acquireIfAvailable(
    _ keys: [String], options: LockOptions? = nil, logger: Logger? = nil
  ) async throws -> Lock? {
    coordinator.activity?.begin()
    defer { coordinator.activity?.end() }
    return try await takeIfAvailable(keys, options, logger)
  }

  /// Takes a lock without waiting, within a call that is already counted.
  func takeIfAvailable(
    _ keys: [String], _ options: LockOptions?, _ logger: Logger?
  ) async throws -> Lock? {
    try await take(check(keys), options, waits: false, logger)
  }

  /// Checks and sorts the keys of a call.
  func check(_ keys: [String]) throws(LockError) -> LockKeys {
    let keys = try LockKeys(keys)
    // By place, since an element would be copied.
    for place in keys.names.indices where keys.names[place].utf8.starts(with: keyPrefix.utf8) {
      let name = keys.names[place].abbreviatedForMessage
      throw LockError(
        .invalidKey, "the key \(name) must not begin with the prefix of the locker's own keys",
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

  /// Turns the lease that a call gets, if any, into a lock, and reports it.
  func make(
    _ keys: LockKeys, _ options: LockOptions?, _ logger: Logger?, _ phase: LockError.Phase,
    by call: (Coordinator, LockOptions, AcquisitionTrace?) async throws -> Lease?
  ) async throws -> Lock? {
    // Before the reporter, whose mutex can be locked for ever in a forked child.
    try coordinator.checkNotForked(keys.names, phase)
    var options = options ?? lockOptions
    try options.validate(longestTTL: coordinator.store.longestTTL)
    // The validity is counted from the ttl that the server gets.
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

  /// Asks the server for a key's holder and waiters.
  ///
  /// - Parameter key: The key, as it is on the server.
  /// - Returns: The holder, the time left, and the waiters; nil if the key is free.
  /// - Throws: ``LockError`` with the code `unreachable` or `refused`, also for a key that is no lock. The code
  ///   can also be `invalidKey` or `closed`. If the task is cancelled, throws `CancellationError`.
  public func inspect(_ key: String) async throws -> LockStatus? {
    try coordinator.checkNotForked([key], .inspect)
    let name = try check([key]).names[0]
    return try await ask(.inspect, about: [name]) { store, deadline throws(StoreFailure) in
      try await store.inspect(name, by: deadline).map { LockStatus(key: name, $0) }
    }
  }

  /// Takes a key from its holder, and hands it to the first waiter.
  ///
  /// The holder notices at its next extension, or at the end of its validity if it is not extended.
  ///
  /// Until then, two parties may believe that they hold the lock, so use this only if the holder is known to be
  /// gone. A key that holds no string is no lock and is left alone.
  ///
  /// - Parameter key: The key, as it is on the server.
  /// - Returns: The former holder of the key, or nil if it was free.
  /// - Throws: As ``inspect(_:)``.
  @discardableResult
  public func forceRelease(_ key: String) async throws -> LockHolder? {
    try coordinator.checkNotForked([key], .forceRelease)
    let name = try check([key]).names[0]
    return try await ask(.forceRelease, about: [name]) { store, deadline throws(StoreFailure) in
      try await store.forceRelease(name, by: deadline).map(LockHolder.init(value:))
    }
  }

  /// Asks the store, and repeats that while it makes sense, within the operation timeout.
  ///
  /// The caller has checked that this is no forked child: there, even to make the type of the answer can hang.
  func ask<Answer>(
    _ phase: LockError.Phase, about keys: [String],
    _ question: (any LockStore, Instant) async throws(StoreFailure) -> Answer
  ) async throws -> Answer {
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

  /// Releases all held locks, fails waiting calls with `closed`, and disconnects.
  ///
  /// Running bodies of `withLock` are cancelled, and `withLock` throws `closed`.
  ///
  /// Takes no longer than the operation timeout, and may be called again. If the server refuses to free tens of
  /// thousands of locks, asking for each and noting the answers takes a second or two longer.
  public func close() async { await coordinator.close() }

  /// Stops accepting calls, fails waiting calls with `closed`, and closes once every held lock has been released
  /// or lost.
  ///
  /// Use it if the process is about to end and should finish its work first. Cancelling the task ends the wait,
  /// and the locker is closed at once.
  ///
  /// - Throws: ``LockError`` with the code `wouldDeadlock` if the task itself holds a lock of this locker by
  ///   `withLock`; the locker then stays open.
  public func closeWhenReleased() async throws {
    guard coordinator.forkGuard.isHere else { return }
    try HeldLocks.current.checkNone(of: coordinator.extender.leases)
    await coordinator.closeWhenReleased()
  }
}
