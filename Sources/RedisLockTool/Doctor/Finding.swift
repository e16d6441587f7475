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
    /// The subject of the check, in one word.
    let subject: String
    let text: String

    init(_ level: Level, _ subject: String, _ text: String) {
      self.level = level
      self.subject = subject
      self.text = text
    }

    /// The finding in one line, for people.
    var line: String {
      let mark =
        switch level {
        case .fine: "ok      "
        case .warning: "WARNING "
        case .problem: "PROBLEM "
        }
      return mark + subject + ": " + text
    }
  }
#endif
