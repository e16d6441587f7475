public import AsyncRedisLock
public import Logging
internal import Synchronization

extension Locker {
  /// Creates a locker without a server, for tests, that has its locks to itself.
  ///
  /// - Parameters:
  ///   - clock: What ttl and timeouts are counted by; the machine's time if nil.
  ///   - configuration: As for ``inMemory(on:configuration:logger:)``.
  ///   - logger: Gets what the logger of a locker with a server gets.
  /// - Returns: A locker that does all that one with a server does.
  public static func inMemory(
    clock: ManualClock? = nil, configuration: LockerConfiguration = .init(),
    logger: Logger = Logger(label: "async-redis-lock")
  ) -> Locker {
    inMemory(on: InMemoryServer(clock: clock), configuration: configuration, logger: logger)
  }

  /// Creates a locker without a server, for tests.
  ///
  /// - Parameters:
  ///   - server: What it shares its locks with.
  ///   - configuration: Checked as for a locker with a server: a bad value ends the test. What only says how to
  ///     reach a server plays no part.
  ///   - logger: Gets what the logger of a locker with a server gets.
  /// - Returns: A locker that does all that one with a server does.
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
  /// Takes a lock away from whoever holds it, who is told at once, and hands it to the first who waits.
  ///
  /// - Parameter key: The key; nothing happens when it is free.
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
