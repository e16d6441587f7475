#if CommandLineTool
  /// A result of the doctor's checks.
  struct Finding: Encodable, Sendable, Equatable {
    enum Level: String, Encodable, Sendable {
      case fine
      /// Locks work, but they are at risk.
      case warning
      /// Locks do not work.
      case problem
    }

    let level: Level
    /// The server that was checked, if there are several.
    private(set) var server: String?
    /// The subject of the check, in one word.
    let subject: String
    let text: String

    init(_ level: Level, _ subject: String, _ text: String, server: String? = nil) {
      self.server = server
      self.level = level
      self.subject = subject
      self.text = text
    }

    /// The same finding, about one of several servers.
    func about(_ server: String) -> Finding {
      Finding(level, subject, text, server: server)
    }

    /// The finding in one line, for people.
    var line: String {
      let mark =
        switch level {
        case .fine: "ok      "
        case .warning: "WARNING "
        case .problem: "PROBLEM "
        }
      return mark + (server.map { $0 + " " } ?? "") + subject + ": " + text
    }
  }
#endif
