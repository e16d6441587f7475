internal import Dispatch
internal import Synchronization

/// A second connection that listens on one channel, and connects again whenever it has to.
///
/// A read source drives it, so no thread waits for messages.
final class Subscriber: Sendable {
  /// What the listener learns, in order, on the subscriber's queue.
  enum Event: Sendable {
    /// From now on nothing is missed.
    case subscribed
    case message(String)
    /// What was published before the last ``probe()`` has arrived.
    case probed
    /// Messages are missed until ``subscribed``.
    case disconnected(TransportError)
  }

  private struct State {
    var socket: SubscribedSocket?
    var isOpen = false
    /// Tells an attempt from those before it, whose timers may still come.
    var attempt = 0
    var backoff = Backoff()
    /// Since when the connection works; nil as long as it does not.
    var subscribedAt: Instant?
  }

  /// How often a silent connection is asked whether it is still there.
  private static let pingInterval = Duration.seconds(5)
  /// A connection that has lasted this long has worked.
  private static let provingTime = Duration.seconds(1)
  /// A server that refused does not change its mind soon.
  private static let pauseAfterRefusal = Duration.seconds(10)

  /// High priority, because a host program that blocks all default queues must not stop its locks.
  private let queue = DispatchQueue(label: "async-redis-lock.inbox", qos: .userInteractive)
  /// Of other threads than those that extensions need: the opening of a socket can block.
  private let openerQueue = DispatchQueue(
    label: "async-redis-lock.inbox-opener", qos: .userInitiated)
  private let opener: SocketOpener
  private let handshake: Handshake
  private let channel: String
  private let connectTimeout: Duration
  private let answerTimeout: Duration
  /// Whether anything listens to the channel at present.
  private let isWaitedFor: @Sendable () -> Bool
  private let handler: @Sendable (Event) -> Void
  /// Only ever locked on the queue, but for closing.
  private let state = Locked(State())

  init(
    _ configuration: LockerConfiguration, channel: String,
    isWaitedFor: @escaping @Sendable () -> Bool,
    handler: @escaping @Sendable (Event) -> Void
  ) {
    opener = SocketOpener(address: configuration.address)
    handshake = Handshake(configuration, connectHook: nil)
    connectTimeout = configuration.connectTimeout
    answerTimeout = configuration.operationTimeout
    self.channel = channel
    self.isWaitedFor = isWaitedFor
    self.handler = handler
  }

  deinit { close() }

  /// Connects, and stays connected; does nothing when called again.
  func open() {
    queue.async { @Sendable [weak self] in
      guard let self else { return }
      let isNews = state.withLock { state in
        defer { state.isOpen = true }
        return !state.isOpen
      }
      if isNews { connect() }
    }
  }

  /// Gives a working connection up and makes another; an attempt that is under way goes on.
  ///
  /// `isElsewhere` tells a connection that has led to the wrong server, and may do so again: the pauses
  /// between attempts grow then.
  func reconnect(because reason: String, isElsewhere: Bool) {
    queue.async { @Sendable [weak self] in
      guard let self, state.withLock({ $0.socket?.isSubscribed ?? false }) else { return }
      if isElsewhere { state.withLock { $0.subscribedAt = nil } }
      disconnect(because: .connectionLost(reason))
    }
  }

  /// Asks for ``Event/probed``.
  func probe() {
    queue.async { @Sendable [weak self] in
      guard let self, let socket = state.withLock({ $0.socket }), socket.isSubscribed else {
        return
      }
      if !socket.probe() {
        disconnect(because: .connectionLost("the server cannot be written to"))
      }
    }
  }

  /// Disconnects for good.
  func close() {
    let socket = state.withLock { state in
      state.attempt += 1
      return state.socket.take()
    }
    socket?.cancel()
  }

  // MARK: On the queue

  private func connect() {
    let attempt = state.withLock { state in
      state.attempt += 1
      return state.attempt
    }
    let deadline = Instant.now + connectTimeout
    openerQueue.async { @Sendable [weak self, opener] in
      let result = Result { () throws(TransportError) in try opener.open(by: deadline) }
      guard let self else {
        if case .success(let socket) = result { _ = FileDescriptor(adopting: socket) }
        return
      }
      queue.async { @Sendable in self.adopt(result, attempt: attempt) }
    }
    after(connectTimeout + answerTimeout, of: attempt) { subscriber in
      let isSubscribed = subscriber.state.withLock { $0.socket?.isSubscribed ?? false }
      if !isSubscribed {
        subscriber.disconnect(because: .unreachable("the subscription was not confirmed in time"))
      }
    }
  }

  private func adopt(_ result: Result<CInt, TransportError>, attempt: Int) {
    do throws(TransportError) {
      let descriptor = FileDescriptor(adopting: try result.get())
      let socket = try SubscribedSocket(
        adopting: descriptor, handshake: handshake, channel: channel)
      let isCurrent = state.withLock { state in
        guard state.attempt == attempt else { return false }
        state.socket = socket
        return true
      }
      guard isCurrent else { return socket.cancel() }
      socket.start(on: queue) { @Sendable [weak self] in self?.receive(attempt: attempt) }
    } catch {
      if state.withLock({ $0.attempt == attempt }) { disconnect(because: error) }
    }
  }

  private func receive(attempt: Int) {
    let socket = state.withLock { $0.attempt == attempt ? $0.socket : nil }
    guard let socket else { return }
    do throws(TransportError) {
      let wasSubscribed = socket.isSubscribed
      let arrivals = try socket.receive()
      if !wasSubscribed, socket.isSubscribed {
        state.withLock { $0.subscribedAt = .now }
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
    after(Self.pingInterval, of: attempt) { subscriber in
      guard subscriber.state.withLock({ $0.socket })?.ping() == true else {
        return subscriber.disconnect(because: .connectionLost("the server cannot be written to"))
      }
      subscriber.after(subscriber.answerTimeout, of: attempt) { subscriber in
        guard subscriber.state.withLock({ $0.socket })?.isSilentSincePing == false else {
          return subscriber.disconnect(because: .timedOut)
        }
        subscriber.keepAsking(attempt: attempt)
      }
    }
  }

  private func disconnect(because cause: TransportError) {
    var generator = SystemRandomNumberGenerator()
    let isWaitedFor = isWaitedFor()
    let (socket, attempt, pause) = state.withLock { state in
      state.attempt += 1
      // Otherwise a server that confirms and hangs up again would be called without any pause.
      if let start = state.subscribedAt.take() {
        state.backoff.reset(isProven: start + Self.provingTime <= .now)
      }
      let pause = state.backoff.pause(isWaitedFor: isWaitedFor, using: &generator)
      return (state.socket.take(), state.attempt, pause)
    }
    socket?.cancel()
    handler(.disconnected(cause))
    let isRefused = if case .refused = cause { true } else { false }
    after(isRefused ? Self.pauseAfterRefusal : pause, of: attempt) { $0.connect() }
  }

  /// Does something on the queue later, unless there is another attempt by then.
  private func after(
    _ pause: Duration, of attempt: Int, _ body: @escaping @Sendable (Subscriber) -> Void
  ) {
    let nanoseconds = Int(pause.wholeNanoseconds)
    queue.asyncAfter(deadline: .now() + .nanoseconds(nanoseconds)) { @Sendable [weak self] in
      guard let self, state.withLock({ $0.attempt == attempt }) else { return }
      body(self)
    }
  }
}
