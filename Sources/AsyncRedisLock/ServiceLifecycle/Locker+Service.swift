#if ServiceLifecycle
  public import ServiceLifecycle

  extension Locker: Service {
    /// Runs until the service group shuts down gracefully, or the task is cancelled; then it closes.
    ///
    /// A locker that is not connected yet connects, however long that takes: a service comes up while the server is
    /// down, and recovers.
    ///
    /// On a graceful shutdown nothing new is taken, and who waits gets an error with the code `closed`.
    /// What is held goes on, and is extended, until it is released; so bodies of `withLock` come to their end. The group's
    /// `maximumGracefulShutdownDuration` bounds that: it cancels the task, and what is still held then is
    /// released, as by ``close()``.
    ///
    /// Put the services that use the locker behind it in the group's list: they are shut down first then.
    public func run() async throws {
      await withTaskGroup { group in
        group.addTask { [coordinator] in await coordinator.connectInTheEnd() }
        // Cancelled instead is as good.
        try? await gracefulShutdown()
        group.cancelAll()
      }
      await coordinator.closeWhenReleased()
    }
  }
#endif
