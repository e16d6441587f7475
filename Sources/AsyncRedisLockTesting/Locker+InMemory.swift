public import AsyncRedisLock
public import Logging
internal import Synchronization

extension Locker {
  /// Creates a locker without a server, for tests, that has its locks to itself.
  ///
  /// - Parameter clock: What ttl and timeouts are counted by; the machine's time if nil.
  /// - Returns: A locker with the default configuration.
  public static func inMemory(clock: ManualClock? = nil) -> Locker {
    inMemory(on: InMemoryServer(clock: clock))
  }

  /// Creates a locker without a server, for tests.
  ///
  /// - Parameters:
  ///   - server: What it shares its locks with.
  ///   - configuration: Its limits, timeouts, prefix and label; the rest plays no part.
  ///   - logger: Gets what the logger of a locker with a server gets.
  /// - Returns: A locker that does all that one with a server does.
  public static func inMemory(
    on server: InMemoryServer, configuration: LockerConfiguration = .init(),
    logger: Logger = Logger(label: "async-redis-lock")
  ) -> Locker {
    let store = InMemoryLockStore(configuration, on: server)
    let locker = Locker(
      configuration, in: store, place: "memory \(ObjectIdentifier(server))", logger: logger
    ) { [weak server] in
      server?.noteWaiting()
    }
    server.state.withLock { $0.clients[store.client].locker = locker }
    return locker
  }
}

extension InMemoryServer {
  /// Takes a lock away from whoever holds it, who is told at once, and hands it to the first who waits.
  ///
  /// - Parameter key: The key; nothing happens when it is free.
  public func loseLock(on key: String) {
    perform { $0.server.forceRelease($0.number(of: key)) }
    let holder = holder(of: key)
    for locker in lockers { locker.loseLeases(of: key, besides: holder?.value) }
  }
}
