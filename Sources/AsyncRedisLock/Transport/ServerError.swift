/// An error reply of the server.
package struct ServerError: Error, Sendable, Equatable {
  /// The reply's text, escaped and cut.
  package let message: String
  /// The kind of error.
  let code: Code

  /// The first word of the reply, such as `NOPERM`.
  package var word: String { code.rawValue }

  init(message: String) {
    // Longer than any error of a server, and harmless on a terminal; without the arguments of an unknown command.
    let end = message.firstRange(of: ", with args beginning with:")?.lowerBound ?? message.endIndex
    self.message = Self.withoutScript(String(message[..<end])).escaped(upTo: 256)
    self.code = Code(message: self.message)
  }

  /// The text without the hash of the script that met the error, which does not help a reader.
  private static func withoutScript(_ message: String) -> String {
    var message = message
    if let start = message.firstRange(of: " script: "),
      message[start.upperBound...].prefix(40).count(where: \.isHexDigit) == 40
    {
      message.removeSubrange(start.lowerBound...)
    }
    if let start = message.firstRange(of: " (call to f_"),
      let end = message[start.upperBound...].firstIndex(of: ")")
    {
      message.removeSubrange(start.lowerBound...end)
    }
    return message
  }

  private init(code: Code, message: String) {
    self.code = code
    self.message = message
  }

  /// The same with a remark of the library's own.
  func adding(_ remark: String) -> Self { Self(code: code, message: message + remark) }

  /// The error in words that mean the same to the library, for one whose text may repeat the password.
  ///
  /// `text` is for an error that means nothing else than its code.
  func inOwnWords(_ text: String) -> Self {
    let text =
      if Self.isAboutKeys(message) {
        "no permission to access one of the keys"
      } else if isAboutFenceCounter {
        Self.fenceCounter[0]
      } else if message.contains("unknown command") {
        "unknown command"
      } else {
        text
      }
    let code = Code.known.contains(code) ? code : .generic
    return Self(code: code, message: "\(code.rawValue) \(text)")
  }

  /// Whether a refusal for lack of permission is about a key.
  ///
  /// Redis 6 and 7 say "access one of the keys", later versions "access a key".
  static func isAboutKeys(_ message: String) -> Bool {
    message.contains("access") && message.contains("key")
  }

  /// Whether the server refuses to run scripts at all, for lack of permission or since it does not know the command.
  var isAboutScripts: Bool {
    (code == .noPerm || message.contains("unknown command"))
      && ["'eval", "`eval"].contains(where: message.lowercased().contains)
  }

  /// Whether a script that releases may have been carried out in spite of the error.
  ///
  /// Such scripts fail before they have done anything. But a proxy that has passed one on may answer in its own words.
  var leavesReleaseOpen: Bool {
    (code == .generic || !Code.known.contains(code)) && !isAboutScripts
  }

  /// Errors of scripts and of the server's own counting for a counter that no fencing token can be drawn from.
  private static let fenceCounter = [
    "the fence counter is beyond", "increment or decrement would overflow",
  ]

  /// Whether no fencing token can be drawn from the server's counter.
  var isAboutFenceCounter: Bool { Self.fenceCounter.contains(where: message.contains) }

  /// What to do about an error.
  enum Remedy {
    /// The same command may succeed in a moment.
    case retry
    /// The server has become the wrong one: look it up again, then retry.
    case reconnect
    /// Repeating does not help.
    case fail
  }

  var remedy: Remedy {
    switch code {
    case .loading, .busy, .tryAgain, .clusterDown, .noReplicas, .noScript: .retry
    // Behind a login, the server has forgotten that; the next login tells if it wants another.
    case .readOnly, .masterDown, .maxClients, .noAuth: .reconnect
    default: .fail
    }
  }
}

extension ServerError {
  /// The first word of an error reply, which Redis and Valkey keep stable.
  struct Code: RawRepresentable, Sendable, Hashable {
    let rawValue: String

    init(rawValue: String) { self.rawValue = rawValue }

    static let generic = Self(rawValue: "ERR")
    static let noScript = Self(rawValue: "NOSCRIPT")
    static let loading = Self(rawValue: "LOADING")
    static let busy = Self(rawValue: "BUSY")
    static let readOnly = Self(rawValue: "READONLY")
    static let masterDown = Self(rawValue: "MASTERDOWN")
    static let noReplicas = Self(rawValue: "NOREPLICAS")
    static let clusterDown = Self(rawValue: "CLUSTERDOWN")
    static let tryAgain = Self(rawValue: "TRYAGAIN")
    static let moved = Self(rawValue: "MOVED")
    static let ask = Self(rawValue: "ASK")
    static let outOfMemory = Self(rawValue: "OOM")
    static let misconfigured = Self(rawValue: "MISCONF")
    static let noAuth = Self(rawValue: "NOAUTH")
    static let wrongPass = Self(rawValue: "WRONGPASS")
    static let noPerm = Self(rawValue: "NOPERM")
    static let wrongType = Self(rawValue: "WRONGTYPE")
    /// Not the server's own word, which says `ERR max number of clients reached`.
    static let maxClients = Self(rawValue: "MAXCLIENTS")

    /// Codes that older servers wrap into an `ERR Error running script …` if a script meets them.
    private static let wrapped: [Self] = [
      .noScript, .loading, .busy, .readOnly, .masterDown, .noReplicas, .clusterDown, .tryAgain,
      .outOfMemory, .misconfigured, .noAuth, .noPerm, .wrongType,
    ]

    /// All codes that the library knows.
    fileprivate static let known = Set(wrapped + [.generic, .maxClients, .wrongPass, .moved, .ask])

    /// Finds the code of an error reply.
    fileprivate init(message: String) {
      let firstWord = message.prefix { $0 != " " }
      guard firstWord == Self.generic.rawValue else {
        self.init(rawValue: String(firstWord.prefix(32)))
        return
      }
      // A refusal within a script has no code of its own: Redis 6 and 7, then Valkey.
      if message.contains("executing the script can't") || message.contains("ACL failure in script")
      {
        self = .noPerm
      } else if message.contains("max number of clients") {
        self = .maxClients
      } else {
        let words = message.split { !($0.isUppercase && $0.isASCII) }
        self = Self.wrapped.first { code in words.contains(code.rawValue[...]) } ?? .generic
      }
    }
  }
}
