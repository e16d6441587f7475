/// The commands that make a new connection usable, and the handling of their replies.
struct Handshake: Sendable {
  /// Commands of the connection's user that are sent with the login, before any request.
  struct ConnectHook: Sendable {
    /// The scripts to send, if any.
    let commands: @Sendable () -> [Command]
    /// Gets the replies on the connection's queue, before the reply to any request; returns false if one makes no
    /// sense.
    let received: @Sendable ([Reply]) -> Bool
  }

  private let required: [Command]
  private let optional: [Command]
  private let connectHook: ConnectHook?
  private let password: String?

  init(_ configuration: LockerConfiguration, connectHook: ConnectHook?) {
    var required: [Command] = []
    if let password = configuration.password?.value {
      required.append(Command(["AUTH"] + [configuration.username, password].compactMap { $0 }))
    }
    if configuration.database != 0 {
      required.append(Command("SELECT", String(configuration.database)))
    }
    password = configuration.password?.value
    self.required = required
    // A restricted user may not be allowed to name the connection, and can do without a name.
    self.optional = [Command("CLIENT", "SETNAME", configuration.clientName)]
    self.connectHook = connectHook
  }

  /// The commands to send; to be read once per connection.
  func commands() -> [Command] { required + optional + (connectHook?.commands() ?? []) }

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
      throw judge(error, mayRepeatPassword: index == 0 && password != nil)
    }
    var own: [Reply] = []
    for reply in replies.dropFirst(required.count + optional.count) {
      own.append(try reply.answer(to: 0))
    }
    guard replies.prefix(required.count).allSatisfy({ $0 == .status("OK") }),
      connectHook?.received(own) ?? true
    else { throw .protocolViolation("an answer of the wrong type to the login") }
  }

  /// Decides what an error during the login means for the connection.
  func judge(_ error: ServerError, mayRepeatPassword: Bool = false) -> TransportError {
    let shown: ServerError =
      if password == nil, error.code == .noAuth {
        ServerError(message: "NOAUTH the server has a password, but none was given")
      } else if password != nil, error.message.contains("without any password configured") {
        ServerError(message: "ERR the server has no password, but one was given")
      } else {
        // An answer to AUTH may repeat the password: in other words, or only its end.
        mayRepeatPassword ? error.inOwnWords(Self.refusal) : conceal(error, as: Self.refusal)
      }
    let isFinal = shown.remedy == .fail || shown.code == .noAuth
    return isFinal ? .refused(shown) : .unreachable(shown.message)
  }

  private static let refusal = "the server refused the login"

  /// The same for a reply, if it is an error.
  func conceal(_ reply: Reply) -> Reply {
    if case .error(let error) = reply { .error(conceal(error)) } else { reply }
  }

  /// The error, in other words if it may repeat the password, as the error of an unknown command does with its
  /// arguments.
  ///
  /// Applies to everything that comes on the connection, since the answer to `AUTH` may come in place of another.
  func conceal(
    _ error: ServerError,
    as text: String = "the server's words are withheld, since they may repeat the password"
  ) -> ServerError {
    guard let password else { return error }
    // Escaped and cut like the error, which may end with a part of the password.
    let hint = password.escaped(upTo: 256).prefix(4)
    // By its bytes: a mark at its beginning combines with any character before it.
    return error.message.utf8.firstRange(of: hint.utf8) == nil ? error : error.inOwnWords(text)
  }
}
