public import Logging

extension Locker {
  /// Connects to several independent servers, of which a majority decides, named by their URLs.
  ///
  /// - Parameters:
  ///   - urls: The URLs of 3, 5, 7 or 9 servers, see ``LockerConfiguration/init(url:)``; all with the same parameters.
  ///   - restartDelay: As for ``init(quorum:restartDelay:logger:)``.
  ///   - logger: The logger for notices, warnings and debug messages.
  /// - Throws: As ``init(quorum:restartDelay:logger:)``, or ``LockError/Code/invalidURL``.
  public convenience init(
    urls: [String], restartDelay: Duration = .seconds(30),
    logger: Logger = Logger(label: "async-redis-lock")
  ) async throws {
    try await self.init(
      quorum: LockerConfiguration.servers(urls), restartDelay: restartDelay, logger: logger)
  }

  /// Connects to several independent servers, of which a majority decides.
  ///
  /// Locks survive the loss of any minority, without a failover. A lock costs requests to all servers. Waiters ask again
  /// and again by ``LockOptions/retry``, in no order. See <doc:Quorums>.
  ///
  /// - Parameters:
  ///   - servers: 3, 5, 7 or 9 servers, each by itself: no replicas, sentinels or clusters. Except for the address, the
  ///     encryption and the login, all options have to be the same.
  ///   - restartDelay: How long a restarted server gets no new locks, because it may have forgotten others; 30 s by
  ///     default. No ttl may be longer. Zero if every server keeps its data across a crash, with `appendfsync always`.
  ///   - logger: The logger for notices, warnings and debug messages.
  /// - Throws: ``LockError`` with the code `invalidOptions` or `tlsUnavailable` for a bad configuration. The code is
  ///   `unreachable` if no majority can be connected to within the connect timeout, and `refused` if the servers refuse
  ///   the login or the database. If the task is cancelled, throws `CancellationError`.
  public convenience init(
    quorum servers: [LockerConfiguration], restartDelay: Duration = .seconds(30),
    logger: Logger = Logger(label: "async-redis-lock")
  ) async throws {
    try self.init(quorum: servers, restartDelay, logger)
    let clock = coordinator.clock
    do throws(StoreFailure) {
      try await coordinator.store.connect(by: clock.now + servers[0].connectTimeout)
    } catch {
      coordinator.store.close()
      guard error != .cancelled else { throw CancellationError() }
      throw LockError(error, keys: [], phase: .connect)
    }
  }

  /// Creates a locker for several independent servers, which connects when the first call needs that.
  ///
  /// - Parameters:
  ///   - servers: As for ``init(quorum:restartDelay:logger:)``.
  ///   - restartDelay: As for ``init(quorum:restartDelay:logger:)``.
  ///   - logger: The logger for notices, warnings and debug messages.
  /// - Throws: ``LockError`` with the code `invalidOptions` or `tlsUnavailable` for a bad configuration, or
  ///   `unreachable` if the system has no file descriptor left.
  public convenience init(
    connectingLazilyTo servers: [LockerConfiguration], restartDelay: Duration = .seconds(30),
    logger: Logger = Logger(label: "async-redis-lock")
  ) throws {
    try self.init(quorum: servers, restartDelay, logger)
  }

  private convenience init(
    quorum servers: [LockerConfiguration], _ restartDelay: Duration, _ logger: Logger
  ) throws(LockError) {
    try LockerConfiguration.validate(quorum: servers, restartDelay: restartDelay)
    let machine = HostMachine()
    let first = servers[0]
    let tokens = TokenSource(label: first.label, of: machine)
    let addresses = servers.map { "\($0.address)" }
    // No caller gets an error if a minority cannot be reached.
    let reporters = servers.map { server in
      Reporter(
        logger: logger, label: server.label, configuration: server, on: machine,
        isFirstAwaited: false)
    }
    var members: [RedisLockStore] = []
    do throws(StoreFailure) {
      for (server, reporter) in zip(servers, reporters) {
        members.append(
          try RedisLockStore(server, on: machine, reporter: reporter, isMember: true))
      }
    } catch {
      throw LockError(error, keys: [], phase: .connect)
    }
    for reporter in reporters { reporter.identify(as: tokens.lockerID) }
    let store = QuorumStore(
      members, restartDelay: restartDelay, operationTimeout: first.operationTimeout,
      lockerID: tokens.lockerID
    ) {
      tokens.next(label: $0, isSilent: true)
    } closed: {
      for reporter in reporters { reporter.close() }
    }
    self.init(
      first, in: store, storeID: "\(addresses.sorted().joined(separator: ","))/\(first.database)",
      reporter: Reporter(
        logger: logger, label: first.label, configuration: first,
        address: addresses.joined(separator: ","), on: machine))
  }
}
