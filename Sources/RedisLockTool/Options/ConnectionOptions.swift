#if CommandLineTool
  import ArgumentParser
  import AsyncRedisLock

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

    /// Connects; locks carry the label.
    ///
    /// - Throws: ``ToolFailure``.
    func connect(label: String? = nil) async throws -> Locker {
      do {
        var configuration = try LockerConfiguration(url: effectiveURL)
        configuration.clientName = "redis-lock"
        if let label { configuration.label = label }
        return try await Locker(configuration: configuration, logger: .silent)
      } catch let error as LockError {
        throw ToolFailure(error)
      }
    }
  }
#endif
