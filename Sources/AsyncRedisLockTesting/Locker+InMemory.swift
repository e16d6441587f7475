public import AsyncRedisLock
public import Logging
internal import Synchronization

extension Locker {
  /// Creates a locker without a server, for tests, which shares its locks with no other locker.
  ///
  /// - Parameters:
  ///   - clock: The clock for ttl and timeouts; the machine's time if nil.
  ///   - configuration: As for ``inMemory(on:configuration:logger:)``.
  ///   - logger: The logger, which gets the same messages as with a server.
  /// - Returns: A locker that behaves like one with a server.
  public static func inMemory(
    clock: ManualClock? = nil, configuration: LockerConfiguration = .init(),
    logger: Logger = Logger(label: "async-redis-lock")
  ) -> Locker {
    inMemory(on: InMemoryServer(clock: clock), configuration: configuration, logger: logger)
  }

  /// Creates a locker without a server, for tests.
  ///
  /// - Parameters:
  ///   - server: The server that holds its locks.
  ///   - configuration: Checked as for a locker with a server: a bad value ends the test. Options that only say
  ///     how to reach a server have no effect.
  ///   - logger: The logger, which gets the same messages as with a server.
  /// - Returns: A locker that behaves like one with a server.
  public static func inMemory(
    on server: InMemoryServer, configuration: LockerConfiguration = .init(),
    logger: Logger = Logger(label: "async-redis-lock")
  ) -> Locker {
    do {
      try configuration.validate()
    } catch {
      preconditionFailure("\(error)")
    }
    let store = InMemoryLockStore(configuration, on: server)
    let locker = Locker(
      configuration, in: store, storeID: "memory \(ObjectIdentifier(server))", logger: logger)
    server.state.withLock { $0.clients[store.client].coordinator = locker.coordinator }
    return locker
  }
}

extension InMemoryServer {
  /// Takes a lock away from its holder, which is told at once, and hands it to the first waiter.
  ///
  /// - Parameter key: The key; if it is free, nothing happens.
  public func loseLock(on key: String) {
    let (former, next) = perform { memory in
      let former = memory.holder(of: key)
      memory.server.forceRelease(memory.number(of: key))
      return (former, memory.holder(of: key))
    }
    guard let former else { return }
    for coordinator in coordinators {
      coordinator.loseLeases(of: key, heldBy: former, to: next)
    }
  }
}
