import Testing

@testable import AsyncRedisLock

@Suite("A connection's state", .timeLimit(.minutes(2)))
struct ConnectionStateTests {
  let start = Instant.now

  private func makeState() -> ConnectionState {
    ConnectionState(from: start, connectTimeout: .seconds(1))
  }

  /// Makes a state that has reached a phase.
  private func state(in phase: PhaseName) -> ConnectionState {
    var state = makeState()
    if phase == .down { return state }
    _ = state.advance(at: start, hasPending: true, hasInFlight: false)
    if phase == .opening { return state }
    state.logIn(expecting: 2, at: start)
    if phase == .loggingIn { return state }
    state.loggedIn()
    if phase == .outdated { state.isOutdated() }
    return state
  }

  enum PhaseName: CaseIterable, Sendable {
    case down, opening, loggingIn, ready, outdated

    init(_ phase: ConnectionState.Phase) {
      self =
        switch phase {
        case .down: .down
        case .opening: .opening
        case .loggingIn: .loggingIn
        case .ready: .ready
        case .outdated: .outdated
        }
    }
  }

  /// The events of a connection.
  enum Event: Sendable {
    case advance(after: Duration = .zero, hasPending: Bool = true, hasInFlight: Bool = false)
    case reply(Reply)
    case logIn, loggedIn, isOutdated, lost
  }

  struct Transition: Sendable, CustomTestStringConvertible {
    let from: PhaseName
    let event: Event
    let to: PhaseName
    /// The result of `advance`, without its instants.
    var action: String = ""

    var testDescription: String { "\(from), \(event)" }
  }

  private static let timedOut = "the server did not answer the login"

  /// All phases, and the effects of each event on them.
  static let table: [Transition] = [
    Transition(from: .down, event: .advance(), to: .opening, action: "open 1"),
    Transition(from: .down, event: .advance(hasPending: false), to: .down, action: "wait"),
    Transition(
      from: .down, event: .advance(after: .milliseconds(-1)), to: .down, action: "wait"),
    Transition(from: .down, event: .isOutdated, to: .down),
    Transition(from: .down, event: .reply(.status("OK")), to: .down),
    Transition(from: .down, event: .lost, to: .down),
    Transition(from: .opening, event: .advance(), to: .opening, action: "wait"),
    Transition(
      from: .opening, event: .advance(after: .milliseconds(1999)), to: .opening, action: "wait"),
    Transition(
      from: .opening, event: .advance(after: .milliseconds(2000)), to: .opening,
      action: "the connection was not made in time"),
    Transition(from: .opening, event: .logIn, to: .loggingIn),
    Transition(from: .opening, event: .isOutdated, to: .opening),
    Transition(from: .opening, event: .lost, to: .down),
    Transition(from: .loggingIn, event: .reply(.status("OK")), to: .loggingIn),
    Transition(from: .loggingIn, event: .loggedIn, to: .ready),
    Transition(from: .loggingIn, event: .isOutdated, to: .loggingIn),
    Transition(
      from: .loggingIn, event: .advance(after: .milliseconds(999)), to: .loggingIn, action: "wait"),
    Transition(
      from: .loggingIn, event: .advance(after: .seconds(1)), to: .loggingIn, action: timedOut),
    Transition(
      from: .loggingIn, event: .advance(after: .seconds(1), hasPending: false), to: .loggingIn,
      action: timedOut),
    Transition(from: .loggingIn, event: .lost, to: .down),
    Transition(from: .ready, event: .advance(), to: .ready, action: "send"),
    Transition(from: .ready, event: .advance(after: .seconds(99)), to: .ready, action: "send"),
    Transition(from: .ready, event: .reply(.status("OK")), to: .ready),
    Transition(from: .ready, event: .isOutdated, to: .outdated),
    Transition(from: .ready, event: .lost, to: .down),
    Transition(
      from: .outdated, event: .advance(hasInFlight: true), to: .outdated, action: "wait"),
    Transition(
      from: .outdated, event: .advance(hasPending: false), to: .outdated, action: "wait"),
    Transition(
      from: .outdated, event: .advance(), to: .outdated,
      action: "the server is not the master any more, or has forgotten the login"),
    Transition(from: .outdated, event: .isOutdated, to: .outdated),
    Transition(from: .outdated, event: .lost, to: .down),
  ]

  @Test("A connection's state goes from phase to phase as the table says", arguments: table)
  func transition(_ transition: Transition) {
    var state = state(in: transition.from)
    switch transition.event {
    case .advance(let time, let hasPending, let hasInFlight):
      let action = state.advance(
        at: start + time, hasPending: hasPending, hasInFlight: hasInFlight)
      switch action {
      case .wait: #expect(transition.action == "wait")
      case .open(let attempt, let deadline):
        #expect(transition.action == "open \(attempt)")
        #expect(deadline == start + .seconds(1))
      case .send: #expect(transition.action == "send")
      case .giveUp(.unreachable(let text)), .giveUp(.connectionLost(let text)):
        #expect(transition.action == text)
      case .giveUp(let cause): Issue.record("given up because of \(cause)")
      }
    case .reply(let reply): #expect(state.acceptLogin(reply) == .wait)
    case .logIn: state.logIn(expecting: 2, at: start)
    case .loggedIn: state.loggedIn()
    case .isOutdated: state.isOutdated()
    case .lost: state.lost(until: start)
    }
    #expect(PhaseName(state.phase) == transition.to)
  }

  @Test("The table covers each phase of a connection, and only two phases know requests")
  func phases() {
    for phase in PhaseName.allCases {
      let state = state(in: phase)
      #expect(PhaseName(state.phase) == phase)
      #expect(Self.table.contains { $0.from == phase })
      #expect(state.isReady == (phase == .ready))
      #expect(state.isLoggedIn == (phase == .ready || phase == .outdated))
      #expect(state.isLoggingIn == (phase == .loggingIn))
    }
  }

  @Test("A connection's state accepts only the stream of the present attempt")
  func attempts() {
    var state = state(in: .opening)
    #expect(state.awaits(1))
    state.lost(until: start)
    #expect(!state.awaits(1), "it has been given up")
    #expect(
      state.advance(at: start, hasPending: true, hasInFlight: false)
        == .open(attempt: 2, by: start + .seconds(1)))
    #expect(!state.awaits(1) && state.awaits(2))
    state.logIn(expecting: 1, at: start)
    #expect(!state.awaits(2), "it has one")
  }

  @Test("A login is judged when all its replies have come, or when the server is full")
  func login() {
    var state = state(in: .loggingIn)
    let refusal = Reply.error(ServerError(message: "WRONGPASS"))
    #expect(state.loginError == nil)
    #expect(state.acceptLogin(refusal) == .wait)
    #expect(state.loginError?.code == .wrongPass)
    #expect(state.acceptLogin(.status("OK")) == .check([refusal, .status("OK")]))

    var full = self.state(in: .loggingIn)
    let error = Reply.error(ServerError(message: "ERR max number of clients reached"))
    #expect(full.acceptLogin(error) == .check([error]))
    full.lost(until: start)
    #expect(full.loginError == nil)
  }

  @Test("A connection's state tells when to look again")
  func events() {
    let timeout = Duration.seconds(1)
    #expect(state(in: .down).nextEvent(hasPending: true) == start)
    #expect(state(in: .down).nextEvent(hasPending: false) == nil)
    #expect(
      state(in: .opening).nextEvent(hasPending: false)
        == start + timeout + ConnectionState.openingGrace)
    #expect(state(in: .loggingIn).nextEvent(hasPending: false) == start + timeout)
    #expect(state(in: .ready).nextEvent(hasPending: true) == nil)
    #expect(state(in: .outdated).nextEvent(hasPending: true) == nil)
  }
}
