#if CommandLineTool
  /// Something that the doctor has found out.
  struct Finding: Encodable, Sendable, Equatable {
    enum Level: String, Encodable, Sendable {
      case fine
      /// Locks work, and something may cost them.
      case warning
      /// Locks do not work.
      case problem
    }

    let level: Level
    /// What was looked at, in one word.
    let subject: String
    let text: String

    init(_ level: Level, _ subject: String, _ text: String) {
      self.level = level
      self.subject = subject
      self.text = text
    }

    /// The finding for people.
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
