internal import Synchronization

/// A second connection to a node of a cluster, which listens on the channels of its slots, and reconnects whenever it
/// has to.
///
/// A read source drives it, so no thread waits for messages.
final class ShardSubscriber: Sendable {
  private struct State {
    var stream: ShardStream?
    var isOpen = false
    /// Tells an attempt from earlier ones, whose timers may still fire.
    var attempt = 0
    var backoff = Backoff()
    var secondLogin: SecondLogin
    /// Since when the connection works; nil while it does not.
    var loggedInAt: Instant?
    /// The parties that listen, by their channels.
    var listeners: [String: SlotSubscription] = [:]
    /// Those that wait for the answers to their probes, in order.
    var probing: [SlotSubscription] = []
  }

  /// A connection that has lasted this long counts as working.
  private static let provingTime = Duration.seconds(1)
  /// How often a silent connection is asked whether it is still there.
  private static let pingPause = Duration.seconds(5)

  private let queue: any WorkQueue
  private let opener: LoginOpener
  private let clock: LockClock
  private let randomness: Randomness
  private let connectTimeout: Duration
  private let answerTimeout: Duration
  private let loginGate: LoginGate
  /// Locked only on the queue, except when closing.
  private let state: Locked<State>

  /// Creates a subscriber to the node at the address of a configuration.
  init(_ configuration: LockerConfiguration, on machine: any Machine, loginGate: LoginGate) {
    queue = machine.makeQueue("inbox", .extensions)
    opener = LoginOpener(
      configuration, over: machine.makeOpener(for: configuration), connectHook: nil, on: machine)
    clock = machine.clock
    randomness = machine.randomness
    state = Locked(State(secondLogin: SecondLogin(isPossible: configuration.credentials != nil)))
    connectTimeout = configuration.connectTimeout
    answerTimeout = configuration.operationTimeout
    self.loginGate = loginGate
  }

  deinit { close() }

  /// Tells a listener from now on what happens on its channel.
  func add(_ listener: SlotSubscription) {
    queue.async { [weak self] in
      guard let self else { return }
      let (isNew, stream): (Bool, ShardStream?) = state.withLock { state in
        state.listeners[listener.channel] = listener
        defer { state.isOpen = true }
        return (!state.isOpen, state.stream)
      }
      if isNew { return connect() }
      if let stream, !stream.subscribe(to: listener.channel) {
        disconnect(because: .connectionLost("the server cannot be written to"))
      }
    }
  }

  /// Tells a listener nothing more.
  ///
  /// The server goes on sending. To end the subscription would be ambiguous: the server also ends it by itself.
  func remove(_ listener: SlotSubscription) {
    state.withLock { state in
      if state.listeners[listener.channel] === listener { state.listeners[listener.channel] = nil }
      state.probing.removeAll { $0 === listener }
    }
  }

  /// Gives up a working connection and makes another.
  func reconnect(because reason: String) {
    queue.async { [weak self] in
      guard let self, state.withLock({ $0.loggedInAt != nil }) else { return }
      disconnect(because: .connectionLost(reason))
    }
  }

  /// Asks for the end of what was published so far, on behalf of a listener.
  func probe(for listener: SlotSubscription) {
    queue.async { [weak self] in
      guard let self else { return }
      let stream: ShardStream? = state.withLock { state in
        guard state.listeners[listener.channel] === listener, let stream = state.stream else {
          return nil
        }
        state.probing.append(listener)
        return stream
      }
      if stream?.probe() == false {
        disconnect(because: .connectionLost("the server cannot be written to"))
      }
    }
  }

  /// Disconnects for good, since the node has no slots any more; the listeners have to go elsewhere.
  func retire() {
    let listeners = state.withLock { state in
      defer { state.listeners = [:] }
      return state.listeners.values
    }
    close()
    for listener in listeners {
      listener.lost(self, because: .connectionLost("the slot has moved"))
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
    opener.open(by: clock.now + connectTimeout) { [weak self] result in
      guard let self else { return }
      queue.async { self.adopt(result, attempt: attempt) }
    }
    after(connectTimeout + answerTimeout, of: attempt) { subscriber in
      guard subscriber.state.withLock({ $0.loggedInAt }) == nil else { return }
      subscriber.disconnect(because: .unreachable("the login was not answered in time"))
    }
  }

  private func adopt(_ result: Result<LoginOpener.Opened, TransportError>, attempt: Int) {
    do throws(TransportError) {
      let opened = try result.get()
      let channels = state.withLock { Array($0.listeners.keys) }
      let stream = try ShardStream(
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
      let arrivals = try stream.receive()
      if stream.isLoggedIn, state.withLock({ $0.loggedInAt }) == nil {
        state.withLock { [clock] state in
          state.loggedInAt = clock.now
          state.secondLogin.loggedIn()
        }
        keepAsking(attempt: attempt)
      }
      for arrival in arrivals { handle(arrival) }
    } catch {
      disconnect(because: error)
    }
  }

  private func handle(_ arrival: ShardStream.Arrival) {
    switch arrival {
    case .subscribed(let channel): listener(on: channel)?.handler(.subscribed)
    case .message(let text, let channel): listener(on: channel)?.handler(.message(text))
    case .probed:
      let listener = state.withLock { state in
        state.probing.isEmpty ? nil : state.probing.removeFirst()
      }
      listener?.handler(.probed)
    case .ended(let channel):
      listener(on: channel)?.lost(self, because: .connectionLost("the slot has moved"))
    case .refused(let channel, let error): listener(on: channel)?.refused(by: self, error)
    }
  }

  private func listener(on channel: String) -> SlotSubscription? {
    state.withLock { $0.listeners[channel] }
  }

  /// Asks again and again whether the server is still there.
  private func keepAsking(attempt: Int) {
    after(Self.pingPause, of: attempt) { subscriber in
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
    let (stream, attempt, pause, isSecondDue, listeners) = state.withLock { state in
      state.attempt += 1
      let isSecondDue = state.loggedInAt == nil && state.secondLogin.begins(after: cause)
      if let start = state.loggedInAt.take() {
        state.backoff.reset(isProven: start + Self.provingTime <= clock.now)
      }
      state.probing = []
      let pause = state.backoff.pause(
        isWaitedFor: state.listeners.values.contains { $0.isWaitedFor() }, using: &generator)
      return (
        state.stream.take(), state.attempt, pause, isSecondDue, state.listeners.values
      )
    }
    stream?.cancel()
    if isSecondDue { return after(.zero, of: attempt) { $0.connect() } }
    for listener in listeners { listener.disconnected(from: self, because: cause) }
    let pauseBeforeNext =
      switch cause {
      case .refused: Subscriber.Pauses().afterRefusal
      case .heldBack: LoginGate.interval
      default: pause
      }
    after(pauseBeforeNext, of: attempt) { $0.connect() }
  }

  /// Runs an action on the queue later, unless there is another attempt by then.
  private func after(
    _ pause: Duration, of attempt: Int, _ body: @escaping @Sendable (ShardSubscriber) -> Void
  ) {
    queue.async(after: pause) { [weak self] in
      guard let self, state.withLock({ $0.attempt == attempt }) else { return }
      body(self)
    }
  }
}
