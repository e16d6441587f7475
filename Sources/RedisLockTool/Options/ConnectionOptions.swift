#if CommandLineTool
  import ArgumentParser
  import AsyncRedisLock
  import Logging

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// Where the server is.
  struct ConnectionOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        "The server, as redis://user:password@host:6379/0, unix:///path, redis+sentinel://host,host/primary or redis+cluster://host,host.",
        discussion:
          "The default is REDIS_LOCK_URL, which other users cannot read, or else a server on this host."
      ))
    var url: String?

    @Option(
      help: ArgumentHelp(
        "A file that contains the server's URL. It keeps a password out of the process list.",
        discussion: "The default is REDIS_LOCK_URL_FILE.", valueName: "path"), completion: .file())
    var urlFile: String?

    func validate() throws {
      if url != nil && urlFile != nil {
        throw ValidationError("--url and --url-file cannot both be given.")
      }
    }

    /// The given URL, from an option, a file or the environment; else the URL of a server on this host.
    ///
    /// - Throws: ``ToolFailure`` if a file cannot be read.
    func effectiveURL() throws(ToolFailure) -> String {
      if let url { return url }
      if let urlFile { return try Self.read(urlFile) }
      let environment = ProcessInfo.processInfo.environment
      if let url = environment["REDIS_LOCK_URL"] {
        guard !url.isEmpty else { throw ToolFailure(.usage, "REDIS_LOCK_URL is empty") }
        return url
      }
      if let path = environment["REDIS_LOCK_URL_FILE"] { return try Self.read(path) }
      return "redis://127.0.0.1:6379/0"
    }

    /// Reads a file with a URL; editors add a line end.
    private static func read(_ path: String) throws(ToolFailure) -> String {
      // Not with Foundation, which cannot read a pipe.
      guard let file = unsafe fopen(path, "r") else {
        let why = unsafe String(cString: strerror(errno))
        throw ToolFailure(.usage, "cannot read the URL from \(path.safeToShow): \(why)")
      }
      defer { unsafe fclose(file) }
      // Longer than any URL.
      var bytes = [UInt8](repeating: 0, count: 65_536)
      let count = unsafe fread(&bytes, 1, bytes.count, file)
      guard unsafe ferror(file) == 0, var text = String(validating: bytes[..<count], as: UTF8.self)
      else {
        let why = unsafe ferror(file) == 0 ? "it is not text" : "it cannot be read"
        throw ToolFailure(.usage, "cannot read the URL from \(path.safeToShow): \(why)")
      }
      while text.last?.isNewline == true { text.removeLast() }
      guard !text.isEmpty else {
        throw ToolFailure(.usage, "the file \(path.safeToShow) contains no URL")
      }
      return text
    }

    /// Connects, and tries again until a deadline, as long as that may help.
    ///
    /// Locks need so many replicas, or as many as the URL says if nil.
    ///
    /// - Throws: ``ToolFailure``.
    func connect(
      until deadline: ContinuousClock.Instant?, acknowledging replicas: Int?, console: Console
    ) async throws -> Locker {
      var hasWarned = false
      while true {
        do {
          // Read anew each time: the file may have been changed.
          var configuration = try configuration()
          if let replicas { configuration.replicaAcknowledgements = replicas }
          return try await Self.connect(configuration, logger: Logger(console))
        } catch let failure as ToolFailure {
          guard failure.isRetryable, let deadline, .now < deadline else { throw failure }
          if !hasWarned { console.say(.warning, "waiting for the server: \(failure.description)") }
          hasWarned = true
          try await Task.sleep(for: .milliseconds(250))
        }
      }
    }

    /// The configuration of the server; locks carry the label.
    ///
    /// - Throws: ``ToolFailure`` if the URL is malformed or cannot be read.
    func configuration(label: String? = nil) throws(ToolFailure) -> LockerConfiguration {
      let url = try effectiveURL()
      do throws(LockError) {
        var configuration = try LockerConfiguration(url: url)
        configuration.clientName = "redis-lock"
        if let label { configuration.label = label }
        return configuration
      } catch {
        throw ToolFailure(error)
      }
    }

    /// Connects; locks carry the label.
    ///
    /// - Throws: ``ToolFailure``.
    func connect(label: String? = nil, logger: Logger = .silent) async throws -> Locker {
      try await Self.connect(configuration(label: label), logger: logger)
    }

    /// Connects with a configuration.
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
