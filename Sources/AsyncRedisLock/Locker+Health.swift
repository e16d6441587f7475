extension Locker {
  /// Whether there is a connection to the server now, as far as is known without asking.
  ///
  /// False before the first connection, during an outage, and once the locker is closed. A broken idle connection
  /// is noticed when it is used next; to ask the server, call ``ping()``.
  public var isConnected: Bool {
    coordinator.forkGuard.isHere && coordinator.calls.isOpen && coordinator.store.isConnected
  }

  /// Asks the server for a sign of life, and connects if there is no connection.
  ///
  /// - Returns: How long the answer took.
  /// - Throws: ``LockError`` with the code `unreachable` if there is no answer within
  ///   ``LockerConfiguration/operationTimeout``. The code is `refused` if the server refuses the login or cannot
  ///   serve, for example while it loads its data. It is `closed` if the locker is closed. If the task is
  ///   cancelled, throws `CancellationError`.
  @discardableResult
  public func ping() async throws -> Duration {
    try coordinator.checkNotForked([], .ping)
    return try await ask(.ping, about: []) { store, deadline throws(StoreFailure) in
      let start = store.clock.now
      try await store.ping(by: deadline)
      return start.duration(to: store.clock.now)
    }
  }
}
