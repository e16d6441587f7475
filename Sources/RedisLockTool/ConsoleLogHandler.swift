#if CommandLineTool
  import Logging

  /// Passes the library's warnings on to the tool's user, except for lost locks, which the tool reports itself.
  struct ConsoleLogHandler: LogHandler {
    let console: Console
    /// The fields of all messages.
    let fields: Console.Fields
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.warning

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      guard event.level >= .warning, event.metadata?["redis-lock.reason"] == nil else { return }
      let cause = event.metadata?["redis-lock.cause"].map { " (\($0))" } ?? ""
      var fields = fields
      for name in ["cause", "holder", "server"] {
        if let value = event.metadata?["redis-lock." + name] { fields[name] = .text("\(value)") }
      }
      console.say(.warning, "\(event.message)\(cause)", fields)
    }
  }

  extension Logger {
    /// A silent logger for commands that only inspect, which report everything important themselves.
    static var silent: Logger { Logger(label: "redis-lock") { _ in SwiftLogNoOpLogHandler() } }

    /// Creates a logger whose warnings the tool prints, with the fields of all messages.
    init(_ console: Console, _ fields: Console.Fields) {
      self.init(label: "redis-lock") { _ in ConsoleLogHandler(console: console, fields: fields) }
    }
  }
#endif
