internal import Synchronization

/// A second connection that listens on channels, and reconnects whenever it has to.
///
/// A read source drives it, so no thread waits for messages.
final class Subscriber: Sendable {
  /// An event for the listener; events come in order, on the subscriber's queue.
  enum Event: Sendable {
    /// From now on, no message is missed.
    case subscribed
    case message(String)
    /// All messages published before the last ``probe()`` have arrived.
    case probed
    /// Messages are missed until ``subscribed``.
    case disconnected(TransportError)
  }

  private struct State {
    var stream: SubscribedStream?
    var isOpen = false
    /// Tells an attempt from earlier ones, whose timers may still fire.
    var attempt = 0
    var backoff = Backoff()
    var secondLogin = SecondLogin(isPossible: false)
    /// Since when the connection works; nil while it does not.
    var subscribedAt: Instant?
  }

  /// A connection that has lasted this long counts as working.
  private static let provingTime = Duration.seconds(1)

  /// How often a subscriber asks again.
  struct Pauses: Sendable {
    /// How often a silent connection is asked whether it is still there.
    var ping = Duration.seconds(5)
    /// A server that has refused does not change its mind soon.
    var afterRefusal = Duration.seconds(10)
  }

  private let pauses: Pauses
  private let queue: any WorkQueue
  private let opener: LoginOpener
  private let clock: LockClock
  private let randomness: Randomness
  private let channels: [String]
  private let connectTimeout: Duration
  private let answerTimeout: Duration
  /// Whether anything listens to the channels at present.
  private let isWaitedFor: @Sendable () -> Bool
  private let handler: @Sendable (Event) -> Void
  private let loginGate: LoginGate
  /// Locked only on the queue, except when closing.
  private let state = Locked(State())

  init(
    _ configuration: LockerConfiguration, channels: [String], over opener: any StreamOpener,
    connectHook: Handshake.ConnectHook? = nil, isSentinel: Bool = false, pauses: Pauses = Pauses(),
    on machine: any Machine,
    loginGate: LoginGate, isWaitedFor: @escaping @Sendable () -> Bool,
    handler: @escaping @Sendable (Event) -> Void
  ) {
    queue = machine.makeQueue("inbox", .extensions)
    self.opener = LoginOpener(
      configuration, over: opener, connectHook: connectHook, isSentinel: isSentinel, on: machine)
    self.pauses = pauses
    clock = machine.clock
    randomness = machine.randomness
    let secondLogin = SecondLogin(isPossible: configuration.credentials != nil)
    state.withLock { $0.secondLogin = secondLogin }
    connectTimeout = configuration.connectTimeout
    answerTimeout = configuration.operationTimeout
    self.channels = channels
    self.loginGate = loginGate
    self.isWaitedFor = isWaitedFor
    self.handler = handler
  }

  deinit { close() }

  /// Connects, and stays connected; further calls do nothing.
  func open() {
    queue.async { [weak self] in
      guard let self else { return }
      let isNews = state.withLock { state in
        defer { state.isOpen = true }
        return !state.isOpen
      }
      if isNews { connect() }
    }
  }

  /// Gives up a working connection and makes another; an attempt under way goes on.
  ///
  /// `isElsewhere` tells that the connection has led to the wrong server. That may happen again, so the pauses
  /// between attempts grow.
  func reconnect(because reason: String, isElsewhere: Bool) {
    queue.async { [weak self] in
      guard let self, state.withLock({ $0.stream?.isSubscribed ?? false }) else { return }
      if isElsewhere { state.withLock { $0.subscribedAt = nil } }
      disconnect(because: .connectionLost(reason))
    }
  }

  /// Asks for ``Event/probed``.
  func probe() {
    queue.async { [weak self] in
      guard let self, let stream = state.withLock({ $0.stream }), stream.isSubscribed else {
        return
      }
      if !stream.probe() {
        disconnect(because: .connectionLost("the server cannot be written to"))
      }
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

  private func connect() {
    let attempt = state.withLock { state in
      state.attempt += 1
      return state.attempt
    }
    if let (error, _) = loginGate.refusal(at: clock.now) {
      return disconnect(because: .heldBack(error))
    }
    let deadline = clock.now + connectTimeout
    opener.open(by: deadline) { [weak self] result in
      guard let self else { return }
      queue.async { self.adopt(result, attempt: attempt) }
    }
    after(connectTimeout + answerTimeout, of: attempt) { subscriber in
      let isSubscribed = subscriber.state.withLock { $0.stream?.isSubscribed ?? false }
      if !isSubscribed {
        subscriber.disconnect(because: .unreachable("the subscription was not confirmed in time"))
      }
    }
  }

  private func adopt(_ result: Result<LoginOpener.Opened, TransportError>, attempt: Int) {
    do throws(TransportError) {
      let opened = try result.get()
      let stream = try SubscribedStream(
        on: opened.stream, handshake: opened.handshake, channels: channels)
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
      let wasSubscribed = stream.isSubscribed
      let arrivals = try stream.receive()
      if !wasSubscribed, stream.isSubscribed {
        state.withLock { [clock] state in
          state.subscribedAt = clock.now
          state.secondLogin.loggedIn()
        }
        handler(.subscribed)
        keepAsking(attempt: attempt)
      }
      for arrival in arrivals {
        switch arrival {
        case .message(let message): handler(.message(message))
        case .probed: handler(.probed)
        }
      }
    } catch {
      disconnect(because: error)
    }
  }

  /// Asks again and again whether the server is still there.
  private func keepAsking(attempt: Int) {
    after(pauses.ping, of: attempt) { subscriber in
      guard subscriber.state.withLock({ $0.stream })?.ping() == true else {
        return subscriber.disconnect(because: .connectionLost("the server cannot be written to"))
      }
      subscriber.after(subscriber.answerTimeout, of: attempt) { subscriber in
        guard subscriber.state.withLock({ $0.stream })?.isSilentSincePing == false else {
          return subscriber.disconnect(because: .timedOut)
        }
        subscriber.keepAsking(attempt: attempt)
      }
    }
  }

  private func disconnect(because cause: TransportError) {
    var generator = randomness
    let isWaitedFor = isWaitedFor()
    let (stream, attempt, pause, isSecondDue) = state.withLock { state in
      state.attempt += 1
      // A listener that has been told of the subscription has to be told of its end.
      let isSecondDue = state.subscribedAt == nil && state.secondLogin.begins(after: cause)
      // Otherwise the client would reconnect without any pause to a server that confirms and hangs up again.
      if let start = state.subscribedAt.take() {
        state.backoff.reset(isProven: start + Self.provingTime <= clock.now)
      }
      let pause = state.backoff.pause(isWaitedFor: isWaitedFor, using: &generator)
      return (state.stream.take(), state.attempt, pause, isSecondDue)
    }
    stream?.cancel()
    if case .notPrimary = cause { opener.noteWrongServer() }
    if isSecondDue { return after(.zero, of: attempt) { $0.connect() } }
    handler(.disconnected(cause))
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
    _ pause: Duration, of attempt: Int, _ body: @escaping @Sendable (Subscriber) -> Void
  ) {
    queue.async(after: pause) { [weak self] in
      guard let self, state.withLock({ $0.attempt == attempt }) else { return }
      body(self)
    }
  }
}
