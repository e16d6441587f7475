extension Locker {
  /// Whether there is a connection to the server at present, as far as is known without asking.
  ///
  /// It is false before the first connection, during an outage, and once the locker is closed. An idle connection that
  /// has broken is noticed when it is used next: ``ping()`` asks.
  public var isConnected: Bool {
    coordinator.forkGuard.isHere && coordinator.calls.isOpen && coordinator.store.isConnected
  }

  /// Asks the server for a sign of life, and connects if there is no connection.
  ///
  /// - Returns: How long the answer took.
  /// - Throws: ``LockError`` with the code `unreachable` if there is no answer within
  ///   ``LockerConfiguration/operationTimeout``, `refused` if the server refuses the login or cannot serve, for example
  ///   while it loads its data; `closed`; `CancellationError` when the task is cancelled.
  @discardableResult
  public func ping() async throws -> Duration {
    try await ask(.ping, about: []) { store, deadline throws(StoreFailure) in
      let start = store.clock.now
      try await store.ping(by: deadline)
      return start.duration(to: store.clock.now)
    }
  }
}
