/// How a connection is made, and whether requests may be sent on it.
///
/// A pure state machine: the time is an argument, and the next action is returned.
struct ConnectionState: Equatable {
  enum Phase: Equatable {
    /// Not connected; a connection may be tried from this instant on.
    case down(until: Instant)
    /// A stream is being opened elsewhere.
    case opening(deadline: Instant)
    /// Connected; the replies to the login are due by the deadline.
    case loggingIn(replies: [Reply], expected: Int, deadline: Instant)
    case ready
    /// The server is the wrong one; the client looks for another when all replies are in.
    case outdated
  }

  /// What to do next.
  enum Action: Equatable {
    case wait
    /// Open a stream; its outcome counts only with this number.
    case open(attempt: Int, by: Instant)
    case send
    case giveUp(TransportError)
  }

  /// The meaning of a reply to the login.
  enum LoginStep: Equatable {
    /// More are due.
    case wait
    /// All are in: they tell whether the connection is ready.
    case check([Reply])
  }

  private(set) var phase: Phase
  private let connectTimeout: Duration
  /// Tells an attempt from earlier ones, whose outcome may still come.
  private var attempt = 0

  init(from now: Instant, connectTimeout: Duration) {
    phase = .down(until: now)
    self.connectTimeout = connectTimeout
  }

  /// Opening ends by itself at its deadline; once this has passed too, it is given up.
  static let openingGrace = Duration.seconds(1)

  var isReady: Bool { phase == .ready }

  /// Whether there is no connection, and none is being made.
  var isDown: Bool { if case .down = phase { true } else { false } }

  /// Whether replies belong to requests.
  var isLoggedIn: Bool { phase == .ready || phase == .outdated }

  /// Whether the driver waits for replies though no request is due.
  var isLoggingIn: Bool { if case .loggingIn = phase { true } else { false } }

  /// What the phase allows now.
  mutating func advance(at now: Instant, hasPending: Bool, hasInFlight: Bool) -> Action {
    switch phase {
    case .down(let earliest):
      guard hasPending, earliest <= now else { return .wait }
      attempt += 1
      let deadline = now + connectTimeout
      phase = .opening(deadline: deadline)
      return .open(attempt: attempt, by: deadline)
    case .opening(let deadline):
      return deadline + Self.openingGrace <= now
        ? .giveUp(.unreachable("the connection was not made in time")) : .wait
    case .loggingIn(_, _, let deadline):
      return deadline <= now ? .giveUp(.unreachable("the server did not answer the login")) : .wait
    case .ready: return .send
    case .outdated:
      return hasPending && !hasInFlight
        ? .giveUp(
          .connectionLost("the server is not the master any more, or has forgotten the login"))
        : .wait
    }
  }

  /// Whether an outcome of opening belongs to the present attempt.
  func awaits(_ attempt: Int) -> Bool {
    if case .opening = phase { attempt == self.attempt } else { false }
  }

  /// Notes that a login has been sent.
  mutating func logIn(expecting count: Int, at now: Instant) {
    phase = .loggingIn(replies: [], expected: count, deadline: now + connectTimeout)
  }

  /// Processes a reply to the login.
  mutating func acceptLogin(_ reply: Reply) -> LoginStep {
    guard case .loggingIn(var replies, let expected, let deadline) = phase else { return .wait }
    replies.append(reply)
    phase = .loggingIn(replies: replies, expected: expected, deadline: deadline)
    // A full server sends its error unasked and hangs up, so the other replies never come.
    return reply.error?.code == .maxClients || replies.count == expected ? .check(replies) : .wait
  }

  /// Notes that the login has succeeded.
  mutating func loggedIn() { phase = .ready }

  /// Notes that the server has said that it is the wrong one.
  mutating func isOutdated() { if phase == .ready { phase = .outdated } }

  /// Notes that there is no connection, and that none is wanted before an instant.
  mutating func lost(until instant: Instant) { phase = .down(until: instant) }

  /// The last error that the server has sent during the login.
  var loginError: ServerError? {
    guard case .loggingIn(let replies, _, _) = phase else { return nil }
    return replies.lazy.compactMap(\.error).last
  }

  /// When to look again even if nothing arrives.
  func nextEvent(hasPending: Bool) -> Instant? {
    switch phase {
    case .down(let earliest): hasPending ? earliest : nil
    case .opening(let deadline): deadline + Self.openingGrace
    case .loggingIn(_, _, let deadline): deadline
    case .ready, .outdated: nil
    }
  }
}
