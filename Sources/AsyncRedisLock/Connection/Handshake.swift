/// The commands that make a new connection usable, and the handling of their replies.
struct Handshake: Sendable {
  /// Commands of the connection's user that are sent with the login, before any request.
  struct ConnectHook: Sendable {
    /// The commands to send, if any.
    let commands: @Sendable () -> [Command]
    /// Gets the replies on the connection's queue, before the reply to any request; returns false if one makes no
    /// sense.
    let received: @Sendable ([Reply]) -> Bool
    /// How many of the commands, the first ones, run scripts; nil if all do.
    var scriptCount: Int?
    /// Returns why a node of a cluster must not be used as if it were alone; nil if it may be.
    var judgesCluster: (@Sendable () -> TransportError?)?
  }

  /// What the connection has to lead to.
  enum Peer: Sendable {
    /// A server; if it is a read-only replica, the first write meets its refusal.
    case server
    /// The server that a sentinel has named, which may be a replica by now.
    case primary
    case sentinel
  }

  private let peer: Peer
  private var login: Command?
  private let selection: Command?
  private let optional: [Command]
  private let connectHook: ConnectHook?
  /// How the password and the one before it may begin where they are repeated.
  private var hints: [[UInt8]] = []
  /// The password and the one before it, as they stand in an error; in lower case.
  private var passwords: [[UInt8]] = []

  private var required: [Command] { [login, selection].compactMap(\.self) }
  private var hasPassword: Bool { login != nil }

  /// Prepares logins; `isSentinel` tells that the configuration is that of a sentinel.
  init(
    _ configuration: LockerConfiguration, connectHook: ConnectHook?, isSentinel: Bool = false
  ) {
    if case .sentinels = configuration.address.kind {
      peer = .primary
    } else {
      peer = isSentinel ? .sentinel : .server
    }
    selection =
      configuration.database == 0 ? nil : Command("SELECT", String(configuration.database))
    // A restricted user may not be allowed to name the connection, and can do without a name.
    self.optional = [Command("CLIENT", "SETNAME", configuration.clientName)]
    self.connectHook = connectHook
    if let password = configuration.password {
      setLogin(username: configuration.username, password: password)
    }
  }

  /// Logs in with other credentials from now on; the former password stays hidden.
  mutating func setLogin(username: String?, password: Password) {
    login = Command(["AUTH"] + [username, password.value].compactMap { $0 })
    hints = Array((Self.hints(of: password.value) + hints).prefix(2 * Self.mostHints))
    let shown = Array(password.value.escaped(upTo: 256).lowercased().utf8)
    passwords = Array(([shown] + passwords).prefix(2))
  }

  /// The most hints of one password.
  private static let mostHints = 4

  /// The commands to send; to be read once per connection.
  func commands() -> [Command] {
    required + [Command("HELLO")] + optional + (connectHook?.commands() ?? [])
  }

  /// Judges the replies to ``commands()`` and passes the connectHook's on.
  func check(_ replies: [Reply]) throws(TransportError) {
    // A full server says so before any request, in place of the first reply.
    for case .error(let error) in replies where error.code == .maxClients {
      throw .unreachable(error.message)
    }
    for (index, reply) in replies.enumerated() {
      // The last two also count if an unrequested reply has moved the others up.
      guard let error = reply.error,
        index < required.count || [.noAuth, .wrongPass].contains(error.code)
      else { continue }
      throw judge(error, mayRepeatPassword: index == 0 && hasPassword)
    }
    var rest = replies.dropFirst(required.count)
    let identity = rest.popFirst()
    try check(identity: identity)
    var own: [Reply] = []
    let scriptCount = connectHook?.scriptCount ?? .max
    for (index, reply) in rest.dropFirst(optional.count).enumerated() {
      // The answers of scripts repeat the number of their request.
      own.append(index < scriptCount ? try reply.answer(to: 0) : reply)
    }
    if peer == .server, case .array(let fields)? = identity, ServerIdentity(fields).isLoneReplica {
      try check(replica: own.prefix(scriptCount))
    }
    guard replies.prefix(required.count).allSatisfy({ $0 == .status("OK") }),
      connectHook?.received(own) ?? true
    else { throw .protocolViolation("an answer of the wrong type to the login") }
  }

  /// Checks that the connection leads to what it has to lead to, as far as the answer to `HELLO` tells.
  private func check(identity: Reply?) throws(TransportError) {
    switch identity {
    // Proxies may know no such command.
    case .error: break
    case .array(let fields):
      let identity = ServerIdentity(fields)
      switch peer {
      case .sentinel: break
      case .server:
        if identity.isSentinel {
          throw .refused(
            ServerError(
              message:
                "ERR this is a sentinel: its URL has the scheme redis+sentinel, and the name "
                + "of the primary as its path"))
        }
        if identity.isCluster, let reason = connectHook?.judgesCluster?() { throw reason }
      case .primary:
        if identity.isSentinel { throw .notPrimary("a sentinel in place of the primary") }
        guard let role = identity.role, role != "master" else { break }
        throw .notPrimary(
          "the server is not the primary: its role is \(role.escaped(upTo: 32))")
      }
    default: throw .protocolViolation("an answer of the wrong type to the login")
    }
  }

  /// Checks that a replica takes no writes, by its answers to the scripts of the hook, which write.
  ///
  /// A lock that a replica grants excludes no client of its primary. A read-only replica refuses it by itself, and can
  /// be asked about locks.
  private func check(replica answers: ArraySlice<Reply>) throws(TransportError) {
    for answer in answers {
      guard let error = answer.error else {
        throw .notPrimary(
          "the server is a replica that takes writes: set replica-read-only to yes, and connect "
            + "to the primary")
      }
      // Any other refusal may end before the connection does. The connection ends by itself after MASTERDOWN. Without
      // the right to run the script, no lock is taken.
      let staysRefused: [ServerError.Code] = [.readOnly, .masterDown, .noPerm, .generic]
      guard !staysRefused.contains(error.code) else { continue }
      throw .unreachable("a replica is not ready: \(conceal(error).message)")
    }
  }

  /// Decides what an error during the login means for the connection.
  func judge(_ error: ServerError, mayRepeatPassword: Bool = false) -> TransportError {
    let shown: ServerError =
      if !hasPassword, error.code == .noAuth {
        ServerError(message: "NOAUTH the server has a password, but none was given")
      } else if hasPassword, error.message.contains("without any password configured") {
        ServerError(message: "ERR the server has no password, but one was given")
      } else {
        // An answer to AUTH may repeat the password: in other words, or only its end.
        mayRepeatPassword ? error.inOwnWords(Self.refusal) : conceal(error, as: Self.refusal)
      }
    let isFinal = shown.remedy == .fail || shown.code == .noAuth
    return isFinal ? .refused(shown) : .unreachable(shown.message)
  }

  private static let refusal = "the server refused the login"

  /// The same for a reply, if it is an error or contains one, as the answer of a script may.
  func conceal(_ reply: Reply) -> Reply {
    switch reply {
    case .error(let error): .error(conceal(error))
    case .array(let fields) where hasPassword && fields.contains(where: Self.mayBeError):
      .array(fields.map(conceal))
    default: reply
    }
  }

  private static func mayBeError(_ reply: Reply) -> Bool {
    switch reply {
    case .error, .array: true
    default: false
    }
  }

  /// The error, in other words if it may repeat the password, as the error of an unknown command does with its
  /// arguments.
  ///
  /// Applies to everything that comes on the connection, since the answer to `AUTH` may come in place of another.
  func conceal(
    _ error: ServerError,
    as text: String = "the server's words are withheld, since they may repeat the password"
  ) -> ServerError {
    mayRepeatPassword(error.message) ? error.inOwnWords(text) : error
  }

  /// Whether a text may repeat a password.
  func mayRepeatPassword(_ text: String) -> Bool {
    guard !hints.isEmpty else { return false }
    let text = text.lowercased()
    // By their bytes: a mark at the beginning combines with any character before it.
    if hints.contains(where: { text.utf8.firstRange(of: $0) != nil }) { return true }
    let bytes = Array(text.utf8)
    return passwords.contains { Self.sharePart($0, bytes) }
  }

  /// Whether two texts have a part in common that is long enough to be the rest of a password.
  private static func sharePart(_ password: [UInt8], _ text: [UInt8]) -> Bool {
    let length = 8
    guard password.count >= length, text.count >= length else { return false }
    let parts = Set((0...text.count - length).map { text[$0..<$0 + length] })
    return (0...password.count - length).contains { parts.contains(password[$0..<$0 + length]) }
  }

  /// The first bytes of a password as it stands in an error, which may be cut behind them; in lower case.
  ///
  /// The error is escaped, and a server puts blanks for line ends or quotes it. If a server changes more than that, it
  /// leaves letters and digits alone.
  private static func hints(of password: String) -> [[UInt8]] {
    let oneLine = password.unicodeScalars.map { $0 == "\r" || $0 == "\n" ? " " : $0 }
    let forms =
      [password, String(String.UnicodeScalarView(oneLine))].map { $0.escaped(upTo: 256) }
      + [String(password.escaped(upTo: 256, isQuoted: true).dropFirst())]
    let words = password.split { !($0.isASCII && ($0.isLetter || $0.isNumber)) }
    let word = words.first { $0.count >= 4 }.map { [String($0)] } ?? []
    // Not characters, of which one may have any length.
    return (forms + word).map { Array(String($0.unicodeScalars.prefix(4)).lowercased().utf8) }
  }
}
