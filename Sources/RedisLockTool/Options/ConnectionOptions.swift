#if CommandLineTool
  import ArgumentParser
  import AsyncRedisLock
  import Logging

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// Where the server is.
  struct ConnectionOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        "The server, as redis://user:password@host:6379/0 or unix:///path.",
        discussion:
          "By default REDIS_LOCK_URL, which other users cannot read, or the server of this host."))
    var url: String?

    /// The URL as given, or by the environment, or that of a server on this host.
    var effectiveURL: String {
      url ?? ProcessInfo.processInfo.environment["REDIS_LOCK_URL"] ?? "redis://127.0.0.1:6379/0"
    }

    /// Connects, and tries again until a deadline as long as that may help.
    ///
    /// - Throws: ``ToolFailure``.
    func connect(until deadline: ContinuousClock.Instant?, console: Console) async throws -> Locker
    {
      var hasWarned = false
      while true {
        do {
          return try await connect(logger: Logger(console))
        } catch let failure as ToolFailure {
          guard failure.isRetryable, let deadline, .now < deadline else { throw failure }
          if !hasWarned { console.say(.warning, "waiting for the server: \(failure.description)") }
          hasWarned = true
          try await Task.sleep(for: .milliseconds(250))
        }
      }
    }

    /// Connects; locks carry the label.
    ///
    /// - Throws: ``ToolFailure``.
    func connect(label: String? = nil, logger: Logger = .silent) async throws -> Locker {
      do {
        var configuration = try LockerConfiguration(url: effectiveURL)
        configuration.clientName = "redis-lock"
        if let label { configuration.label = label }
        return try await Locker(configuration: configuration, logger: logger)
      } catch let error as LockError {
        throw ToolFailure(error)
      }
    }
  }
#endif
