#if CommandLineTool
  import Logging

  /// Passes the library's warnings on to the user of the tool, which says itself that a lock was lost.
  struct ConsoleLogHandler: LogHandler {
    let console: Console
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.warning

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      guard event.level >= .warning, event.metadata?["redis-lock.reason"] == nil else { return }
      let cause = event.metadata?["redis-lock.cause"].map { " (\($0))" } ?? ""
      console.say(.warning, "\(event.message)\(cause)")
    }
  }

  extension Logger {
    /// For what only looks: it says itself what its user has to know.
    static var silent: Logger { Logger(label: "redis-lock") { _ in SwiftLogNoOpLogHandler() } }

    /// A logger whose warnings the tool says.
    init(_ console: Console) {
      self.init(label: "redis-lock") { _ in ConsoleLogHandler(console: console) }
    }
  }
#endif
