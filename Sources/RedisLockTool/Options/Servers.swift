#if CommandLineTool
  import AsyncRedisLock
  import Logging

  /// The server of a command, or the servers of a quorum.
  struct Servers {
    private(set) var configurations: [LockerConfiguration] = []
    let restartDelay: Duration

    /// Reads the URLs; locks carry the label.
    ///
    /// - Throws: ``ToolFailure`` if a URL is malformed.
    init(_ urls: [String], restartDelay: Duration, label: String?) throws(ToolFailure) {
      self.restartDelay = restartDelay
      for (index, url) in urls.enumerated() {
        do throws(LockError) {
          var configuration = try LockerConfiguration(url: url)
          configuration.clientName = "redis-lock"
          if let label { configuration.label = label }
          // The commands set the options of their own locks; the default must not be too long.
          if urls.count > 1, restartDelay > .zero {
            configuration.lockOptions.ttl = min(configuration.lockOptions.ttl, restartDelay)
          }
          configurations.append(configuration)
        } catch {
          throw ToolFailure(error, about: urls.count > 1 ? "server \(index + 1)" : nil)
        }
      }
    }

    /// Whether there are several servers, of which a majority decides.
    var isQuorum: Bool { configurations.count > 1 }

    /// Sets how many replicas have to confirm each lock.
    ///
    /// - Throws: ``ToolFailure`` with a quorum, whose servers have no replicas.
    mutating func setAcknowledgements(_ count: Int) throws(ToolFailure) {
      guard !isQuorum || count == 0 else {
        throw ToolFailure(
          .usage, "--replica-acknowledgements (\(count)) must be 0 with several servers")
      }
      for index in configurations.indices {
        configurations[index].replicaAcknowledgements = count
      }
    }

    /// Checks the servers of a quorum without connecting to them.
    ///
    /// - Throws: ``ToolFailure``.
    func validate() throws {
      guard isQuorum else { return }
      do {
        _ = try Locker(
          connectingLazilyTo: configurations, restartDelay: restartDelay, logger: .silent)
      } catch let error as LockError {
        throw ToolFailure(error)
      }
    }

    /// Connects.
    ///
    /// - Throws: ``ToolFailure``.
    func connect(logger: Logger = .silent) async throws -> Locker {
      guard isQuorum else { return try await Self.connect(configurations[0], logger: logger) }
      do {
        return try await Locker(quorum: configurations, restartDelay: restartDelay, logger: logger)
      } catch let error as LockError {
        throw ToolFailure(error)
      }
    }

    /// Connects to one server.
    ///
    /// - Throws: ``ToolFailure``.
    static func connect(
      _ configuration: LockerConfiguration, logger: Logger = .silent
    ) async throws -> Locker {
      do {
        return try await Locker(configuration: configuration, logger: logger)
      } catch let error as LockError {
        throw ToolFailure(error)
      }
    }
  }
#endif
