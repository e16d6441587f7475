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

  /// Where the server is, or the servers of a quorum.
  struct ConnectionOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        "The server, as redis://user:password@host:6379/0, unix:///path, redis+sentinel://host,host/primary or redis+cluster://host,host; with rediss in place of redis, by TLS. Given 3, 5, 7 or 9 times: servers of which a majority decides.",
        discussion:
          "The default is REDIS_LOCK_URL, which other users cannot read, or else a server on this host."
      ))
    var url: [String] = []

    @Option(
      help: ArgumentHelp(
        "A file that contains the server's URL, or those of several servers, one per line. It keeps a password out of the process list.",
        discussion: "The default is REDIS_LOCK_URL_FILE.", valueName: "path"), completion: .file())
    var urlFile: String?

    @Option(
      help: ArgumentHelp(
        "How long a restarted server of several gets no new locks, which it may have forgotten; no ttl may be longer.",
        discussion:
          "The default is REDIS_LOCK_RESTART_DELAY, or else 30s. 0 if each server keeps its data, with appendfsync always."
      ))
    var restartDelay: DurationArgument?

    func validate() throws {
      if !url.isEmpty && urlFile != nil {
        throw ValidationError("--url and --url-file cannot both be given.")
      }
    }

    /// The given URLs, from options, a file or the environment; else the URL of a server on this host.
    ///
    /// - Throws: ``ToolFailure`` if a file cannot be read.
    private func effectiveURLs() throws(ToolFailure) -> [String] {
      if !url.isEmpty { return url }
      if let urlFile { return try Self.read(urlFile) }
      let environment = ProcessInfo.processInfo.environment
      if let url = environment["REDIS_LOCK_URL"] {
        guard !url.allSatisfy(\.isWhitespace) else {
          throw ToolFailure(.usage, "REDIS_LOCK_URL is empty")
        }
        return Self.split(url)
      }
      if let path = environment["REDIS_LOCK_URL_FILE"] { return try Self.read(path) }
      return ["redis://127.0.0.1:6379/0"]
    }

    /// The URLs in a text, which white space separates.
    ///
    /// A text that is not a list of URLs is left as it is: the space may be part of a password.
    private static func split(_ text: String) -> [String] {
      let parts = text.split(whereSeparator: \.isWhitespace).map(String.init)
      return parts.count > 1 && parts.allSatisfy { $0.contains("://") } ? parts : [text]
    }

    /// Reads a file with URLs; editors add a line end.
    private static func read(_ path: String) throws(ToolFailure) -> [String] {
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
      guard !text.allSatisfy(\.isWhitespace) else {
        throw ToolFailure(.usage, "the file \(path.safeToShow) contains no URL")
      }
      return split(text)
    }

    /// Connects, and tries again until a deadline, as long as that may help.
    ///
    /// Locks need so many replicas, or as many as the URL says if nil. Messages have the fields.
    ///
    /// - Throws: ``ToolFailure``.
    func connect(
      until deadline: ContinuousClock.Instant?, acknowledging replicas: Int?, console: Console,
      fields: Console.Fields
    ) async throws -> Locker {
      var hasWarned = false
      while true {
        do {
          // Read anew each time: the file may have been changed.
          var servers = try servers()
          if let replicas { try servers.setAcknowledgements(replicas) }
          return try await servers.connect(logger: Logger(console, fields))
        } catch let failure as ToolFailure {
          guard failure.isRetryable, let deadline, .now < deadline else { throw failure }
          if !hasWarned {
            console.say(.warning, "waiting for the server: \(failure.description)", fields)
          }
          hasWarned = true
          try await Task.sleep(for: .milliseconds(250))
        }
      }
    }

    /// The server, or the servers of a quorum; locks carry the label.
    ///
    /// - Throws: ``ToolFailure`` if a URL is malformed or cannot be read.
    func servers(label: String? = nil) throws(ToolFailure) -> Servers {
      let urls = try effectiveURLs()
      guard urls.count > 1 || restartDelay == nil else {
        throw ToolFailure(.usage, "--restart-delay needs several servers, each by --url")
      }
      return try Servers(urls, restartDelay: try effectiveRestartDelay(), label: label)
    }

    private func effectiveRestartDelay() throws(ToolFailure) -> Duration {
      if let restartDelay { return restartDelay.duration }
      let name = "REDIS_LOCK_RESTART_DELAY"
      guard let text = ProcessInfo.processInfo.environment[name] else { return .seconds(30) }
      guard let duration = Duration(text: text) else {
        throw ToolFailure(.usage, "\(name) (\(text.safeToShow)) must be a duration, such as 30s")
      }
      return duration
    }

    /// Connects; locks carry the label.
    ///
    /// - Throws: ``ToolFailure``.
    func connect(label: String? = nil, logger: Logger = .silent) async throws -> Locker {
      try await servers(label: label).connect(logger: logger)
    }
  }
#endif
