internal import Synchronization

/// A second connection, which only receives messages, and reconnects whenever it has to.
///
/// A read source drives it, so no thread waits for messages.
final class ListeningConnection: Sendable {
  /// What listens; called on the connection's queue, in order.
  protocol Listener: AnyObject, Sendable {
    /// The channels to ask for with each login.
    var channels: [String] { get }
    /// Whether anything waits for messages at present.
    var isWaitedFor: Bool { get }

    /// Notes that the connection works, until ``disconnected(because:)``.
    func connected()

    /// Takes an arrival.
    func receive(_ arrival: MessageStream.Arrival)

    /// Notes that messages are missed, until the channels are subscribed again.
    func disconnected(because cause: TransportError)
  }

  private struct State {
    weak var listener: (any Listener)?
    var isOpen = false
    var stream: MessageStream?
    /// Tells an attempt from earlier ones, whose timers may still fire.
    var attempt = 0
    var backoff = Backoff()
    var secondLogin: SecondLogin
    /// Since when the connection works; nil while it does not.
    var readyAt: Instant?
  }

  /// A connection that has lasted this long counts as working.
  private static let provingTime = Duration.seconds(1)

  /// How often a connection asks again.
  struct Pauses: Sendable {
    /// How often a silent connection is asked whether it is still there.
    var ping = Duration.seconds(5)
    /// A server that has refused does not change its mind soon.
    var afterRefusal = Duration.seconds(10)
  }

  private let kind: MessageStream.Kind
  private let pauses: Pauses
  private let queue: any WorkQueue
  private let opener: LoginOpener
  private let clock: LockClock
  private let randomness: Randomness
  private let connectTimeout: Duration
  private let answerTimeout: Duration
  private let loginGate: LoginGate
  /// Locked only on the queue, except when closing.
  private let state: Locked<State>

  init(
    _ configuration: LockerConfiguration, _ kind: MessageStream.Kind, over opener: LoginOpener,
    pauses: Pauses = Pauses(), on machine: any Machine, loginGate: LoginGate
  ) {
    self.kind = kind
    self.pauses = pauses
    self.opener = opener
    self.loginGate = loginGate
    queue = machine.makeQueue("inbox", .extensions)
    clock = machine.clock
    randomness = machine.randomness
    connectTimeout = configuration.connectTimeout
    answerTimeout = configuration.operationTimeout
    state = Locked(State(secondLogin: SecondLogin(isPossible: configuration.credentials != nil)))
  }

  deinit { close() }

  /// Connects, and stays connected; further calls do nothing.
  func open(for listener: any Listener) {
    queue.async { [weak self, weak listener] in
      guard let self else { return }
      let isNews = state.withLock { state in
        defer { state.isOpen = true }
        if !state.isOpen { state.listener = listener }
        return !state.isOpen
      }
      if isNews { connect() }
    }
  }

  /// Runs an action on the queue, with the stream if there is one; it returns false if it could not send something.
  func perform(_ action: @escaping @Sendable (MessageStream?) -> Bool) {
    queue.async { [weak self] in
      guard let self, !action(state.withLock({ $0.stream })) else { return }
      disconnect(because: .connectionLost("the server cannot be written to"))
    }
  }

  /// Gives up a working connection and makes another; an attempt under way goes on.
  ///
  /// `isElsewhere` tells that the connection has led to the wrong server. That may happen again, so the pauses
  /// between attempts grow.
  func reconnect(because reason: String, isElsewhere: Bool) {
    queue.async { [weak self] in
      guard let self, state.withLock({ $0.readyAt != nil }) else { return }
      if isElsewhere { state.withLock { $0.readyAt = nil } }
      disconnect(because: .connectionLost(reason))
    }
  }

  /// Disconnects for good.
  func close() {
    let stream = state.withLock { state in
      state.attempt += 1
      return state.stream.take()
    }
    stream?.cancel()
    opener.cancel()
  }

  // MARK: On the queue

  private var listener: (any Listener)? { state.withLock { $0.listener } }

  private func connect() {
    let attempt = state.withLock { state in
      state.attempt += 1
      return state.attempt
    }
    if let (error, _) = loginGate.refusal(at: clock.now) {
      return disconnect(because: .heldBack(error))
    }
    opener.open(by: clock.now + connectTimeout) { [weak self] result in
      guard let self else { return }
      queue.async { self.adopt(result, attempt: attempt) }
    }
    after(connectTimeout + answerTimeout, of: attempt) { connection in
      guard connection.state.withLock({ $0.readyAt }) == nil else { return }
      connection.disconnect(because: .unreachable("the subscription was not confirmed in time"))
    }
  }

  private func adopt(_ result: Result<LoginOpener.Opened, TransportError>, attempt: Int) {
    do throws(TransportError) {
      let opened = try result.get()
      // Without one, the connection is about to be closed.
      guard let listener = listener else { return }
      let stream = try MessageStream(
        on: opened.stream, handshake: opened.handshake, kind, channels: listener.channels)
      let isCurrent = state.withLock { state in
        guard state.attempt == attempt else { return false }
        state.stream = stream
        return true
      }
      guard isCurrent else { return }
      try stream.start(on: queue) { [weak self] in self?.receive(attempt: attempt) }
    } catch {
      if state.withLock({ $0.attempt == attempt }) { disconnect(because: error) }
    }
  }

  private func receive(attempt: Int) {
    let stream = state.withLock { $0.attempt == attempt ? $0.stream : nil }
    guard let stream else { return }
    do throws(TransportError) {
      let arrivals = try stream.receive()
      if stream.isReady, state.withLock({ $0.readyAt }) == nil {
        state.withLock { [clock] state in
          state.readyAt = clock.now
          state.secondLogin.loggedIn()
        }
        listener?.connected()
        keepAsking(attempt: attempt)
      }
      for arrival in arrivals { listener?.receive(arrival) }
    } catch {
      disconnect(because: error)
    }
  }

  /// Asks again and again whether the server is still there.
  private func keepAsking(attempt: Int) {
    after(pauses.ping, of: attempt) { connection in
      guard connection.state.withLock({ $0.stream })?.ping() == true else {
        return connection.disconnect(because: .connectionLost("the server cannot be written to"))
      }
      connection.after(connection.answerTimeout, of: attempt) { connection in
        guard connection.state.withLock({ $0.stream })?.isSilentSincePing == false else {
          return connection.disconnect(because: .timedOut)
        }
        connection.keepAsking(attempt: attempt)
      }
    }
  }

  private func disconnect(because cause: TransportError) {
    var generator = randomness
    let listener = listener
    let isWaitedFor = listener?.isWaitedFor ?? false
    let (stream, attempt, pause, isSecondDue) = state.withLock { state in
      state.attempt += 1
      // A listener that has been told of the connection has to be told of its end.
      let isSecondDue = state.readyAt == nil && state.secondLogin.begins(after: cause)
      // Otherwise the client would reconnect without any pause to a server that confirms and hangs up again.
      if let start = state.readyAt.take(), start + Self.provingTime <= clock.now {
        state.backoff.reset()
      }
      let pause = state.backoff.pause(isWaitedFor: isWaitedFor, using: &generator)
      return (state.stream.take(), state.attempt, pause, isSecondDue)
    }
    stream?.cancel()
    if case .notPrimary = cause { opener.noteWrongServer() }
    if isSecondDue { return after(.zero, of: attempt) { $0.connect() } }
    listener?.disconnected(because: cause)
    let pauseBeforeNext =
      switch cause {
      case .refused: pauses.afterRefusal
      case .heldBack: LoginGate.interval
      default: pause
      }
    after(pauseBeforeNext, of: attempt) { $0.connect() }
  }

  /// Runs an action on the queue later, unless there is another attempt by then.
  private func after(
    _ pause: Duration, of attempt: Int, _ body: @escaping @Sendable (ListeningConnection) -> Void
  ) {
    queue.async(after: pause) { [weak self] in
      guard let self, state.withLock({ $0.attempt == attempt }) else { return }
      body(self)
    }
  }
}
