public import Logging

extension Locker {
  // MARK: At once

  /// Connects to a server named by a URL, such as `redis://user:password@host:6379/0`.
  ///
  /// - Parameters:
  ///   - url: The server's URL, see ``LockerConfiguration/init(url:)``.
  ///   - logger: The logger for notices, warnings and debug messages.
  /// - Throws: ``LockError`` with the code `invalidURL`, `invalidOptions` or `tlsUnavailable` for a bad URL or
  ///   configuration. The code is `unreachable` if there is no connection within the connect timeout, and
  ///   `refused` if the server refuses the login or the database. If the task is cancelled, throws
  ///   `CancellationError`.
  public convenience init(
    url: String, logger: Logger = Logger(label: "async-redis-lock")
  ) async throws {
    try await self.init(configuration: LockerConfiguration(url: url), logger: logger)
  }

  /// Connects to a server.
  ///
  /// - Parameters:
  ///   - configuration: Where the server is, and how to use it.
  ///   - logger: The logger for notices, warnings and debug messages.
  /// - Throws: As ``init(url:logger:)``.
  public convenience init(
    configuration: LockerConfiguration, logger: Logger = Logger(label: "async-redis-lock")
  ) async throws {
    try await self.init(configuration, on: HostMachine(), logger: logger)
  }

  /// Connects to a server on a machine that may be a simulated one.
  package convenience init(
    _ configuration: LockerConfiguration, on machine: any Machine, logger: Logger
  ) async throws {
    let reporter = Reporter(
      logger: logger, label: configuration.label, configuration: configuration, on: machine)
    try await self.init(configuration, on: machine, reporter: reporter)
  }

  convenience init(
    _ configuration: LockerConfiguration, on machine: any Machine = HostMachine(),
    reporter: Reporter
  ) async throws {
    try self.init(configuration, unconnectedOn: machine, reporter: reporter)
    do throws(StoreFailure) {
      try await coordinator.store.connect(by: machine.clock.now + configuration.connectTimeout)
    } catch .cancelled {
      throw CancellationError()
    } catch {
      throw LockError(error, keys: [], phase: .connect)
    }
  }

  // MARK: When it is needed

  /// Creates a locker for a server named by a URL, which connects when the first call needs that.
  ///
  /// The URL is checked at once, without asking the server. With the package trait `ServiceLifecycle`, `run()`
  /// connects, too, and tries again until that works. While the server cannot be reached, calls throw
  /// ``LockError/Code/unreachable`` in the end; ``isConnected`` and ``ping()`` tell the state of the connection.
  ///
  /// - Parameters:
  ///   - url: The server's URL, see ``LockerConfiguration/init(url:)``.
  ///   - logger: The logger for notices, warnings and debug messages.
  /// - Throws: ``LockError`` with the code `invalidURL`, `invalidOptions` or `tlsUnavailable` for a bad URL, or
  ///   `unreachable` if the system has no file descriptor left.
  public convenience init(
    connectingLazilyTo url: String, logger: Logger = Logger(label: "async-redis-lock")
  ) throws {
    try self.init(connectingLazilyTo: LockerConfiguration(url: url), logger: logger)
  }

  /// Creates a locker, which connects when the first call needs that.
  ///
  /// - Parameters:
  ///   - configuration: Where the server is, and how to use it.
  ///   - logger: The logger for notices, warnings and debug messages.
  /// - Throws: As ``init(connectingLazilyTo:logger:)-(String,_)``.
  public convenience init(
    connectingLazilyTo configuration: LockerConfiguration,
    logger: Logger = Logger(label: "async-redis-lock")
  ) throws {
    let machine = HostMachine()
    let reporter = Reporter(
      logger: logger, label: configuration.label, configuration: configuration, on: machine,
      isFirstAwaited: false)
    try self.init(configuration, unconnectedOn: machine, reporter: reporter)
  }
}
