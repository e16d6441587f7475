#if ServiceLifecycle
  public import ServiceLifecycle

  extension Locker: Service {
    /// Runs until the service group shuts down gracefully or the task is cancelled, and then closes.
    ///
    /// If the locker is not connected yet, it keeps trying to connect: the service comes up while the server is
    /// down, and recovers.
    ///
    /// On a graceful shutdown, the locker refuses new calls, and waiting calls fail with the code `closed`. Held
    /// locks are still extended until they are released, so bodies of `withLock` finish. The group's
    /// `maximumGracefulShutdownDuration` limits that: at its end the group cancels the task, and all locks still
    /// held are released, as by ``close()``.
    ///
    /// List services that use the locker after it in the group: they are shut down first then.
    ///
    /// - Throws: ``LockError`` with the code `closed` in a child made by `fork(2)`.
    public func run() async throws {
      try coordinator.checkNotForked([], .connect)
      await withTaskGroup { group in
        group.addTask { [coordinator] in await coordinator.connectInTheEnd() }
        // If the task is cancelled instead, the result is the same.
        try? await gracefulShutdown()
        group.cancelAll()
      }
      await coordinator.closeWhenReleased()
    }
  }
#endif
