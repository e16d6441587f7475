internal import Synchronization

/// The channel that notifies a locker of its grants; one for all keys, opened at the first wait.
///
/// Grants are made only for waiters whose channel is on the granting server. So the channel counts as ready only
/// once that server, asked on the locker's main connection, has confirmed that it is there. A name or an address
/// may lead to another server each time.
final class GrantChannel: Sendable {
  /// The place of the channel, as the main connection's server sees it.
  enum Whereabouts: Sendable {
    case here
    case elsewhere
    /// The server did not answer; ask again.
    case unknown
    /// The server does not tell, and will not.
    case refused(String)
  }

  private enum Readiness {
    case closed
    /// The channel is being connected or verified, for the first time or again.
    case opening
    case ready
    /// The channel is not allowed, or closed for good.
    case unavailable
  }

  private struct Waiting {
    /// Whether the wait goes on through failed attempts; nil if it ends with the first.
    let isWanted: (@Sendable () -> Bool)?
    let completion: @Sendable (Bool) -> Void
  }

  private struct Listener {
    let receive: @Sendable (Notice) -> Void
    /// Whether the notice of the grant has come.
    var isTold = false
    /// Whether the notice of the grant may have been lost with a connection.
    var isExcused = false
  }

  private struct State {
    var readiness = Readiness.closed
    var subscriber: (any ChannelSubscription)?
    /// Counts the subscriber's connections: an answer about one says nothing about the next.
    var connection = 0
    var isSubscribed = false
    var isVerifying = false
    /// When the server refused to say where the channel is; nil if it did not.
    var refusedAt: Instant?
    /// Whether to verify once more, because the main connection's server may have changed since it was asked.
    var mustVerifyAgain = false
    /// Callers that wait for the channel to be ready.
    var waiting: [Waiting] = []
    var listeners: [String: Listener] = [:]
    var probes = GrantProbes()
    /// Tokens to forget as soon as the notices of their grants have come or are lost.
    var retired: Set<String> = []

    /// Forgets the retired tokens for which no notice can come any more on this connection.
    mutating func forgetRetired() {
      for token in retired where !probes.contains(token) {
        listeners[token] = nil
        retired.remove(token)
      }
    }
  }

  /// Makes the subscription, from whether anything listens at present, and a handler of events.
  typealias Subscribing =
    @Sendable (
      _ isWaitedFor: @escaping @Sendable () -> Bool,
      _ handler: @escaping @Sendable (Subscriber.Event) -> Void
    ) -> any ChannelSubscription

  /// How long a refusal to say where the channel is counts: the user's rights may change.
  private static let refusalTime = ListeningConnection.Pauses().afterRefusal

  private let clock: LockClock
  private let reporter: Reporter
  private let subscribe: Subscribing
  /// Asks the main connection's server where the channel is.
  private let locate: @Sendable (@escaping @Sendable (Whereabouts) -> Void) -> Void
  /// Gets grants to tokens that have no listener any more.
  private let giveBack: @Sendable (GrantMessage) -> Void
  private let state = Locked(State())

  init(
    clock: LockClock, reporter: Reporter, subscribe: @escaping Subscribing,
    locate: @escaping @Sendable (@escaping @Sendable (Whereabouts) -> Void) -> Void,
    giveBack: @escaping @Sendable (GrantMessage) -> Void
  ) {
    self.clock = clock
    self.reporter = reporter
    self.subscribe = subscribe
    self.locate = locate
    self.giveBack = giveBack
  }

  /// Creates the channel of one server.
  convenience init(
    _ configuration: LockerConfiguration, channel: String, via sentinels: SentinelDirectory? = nil,
    on machine: any Machine, reporter: Reporter, loginGate: LoginGate = LoginGate(),
    locate: @escaping @Sendable (@escaping @Sendable (Whereabouts) -> Void) -> Void,
    giveBack: @escaping @Sendable (GrantMessage) -> Void
  ) {
    self.init(
      clock: machine.clock, reporter: reporter,
      subscribe: { isWaitedFor, handler in
        Subscriber(
          configuration, channels: [channel],
          over: sentinels?.makeOpener(.grants) ?? machine.makeOpener(for: configuration),
          on: machine, loginGate: loginGate, isWaitedFor: isWaitedFor, handler: handler)
      }, locate: locate, giveBack: giveBack)
  }

  deinit { close() }

  /// Whether a notice of a grant that is made now arrives.
  var isReady: Bool { state.withLock { $0.readiness == .ready } }

  /// Whether the channel is on its way to the right server.
  var isOpening: Bool { state.withLock { $0.readiness == .opening } }

  /// Opens the channel.
  ///
  /// The completion is called if the channel can be used, or if it cannot be used for good. It is also called if
  /// an attempt to open the channel has failed, unless it `isWanted` through that.
  ///
  /// Once `isWanted` is false, it has to stay so; it is called under a mutex.
  func open(
    while isWanted: (@Sendable () -> Bool)? = nil, completion: @escaping @Sendable (Bool) -> Void
  ) {
    if mayAskAgain() { verify() }
    let (isReady, new): (Bool?, (any ChannelSubscription)?) = state.withLock { state in
      switch state.readiness {
      case .ready: return (true, nil)
      case .unavailable: return (false, nil)
      case .opening:
        state.waiting.append(Waiting(isWanted: isWanted, completion: completion))
        return (nil, nil)
      case .closed:
        state.readiness = .opening
        state.waiting.append(Waiting(isWanted: isWanted, completion: completion))
        let subscriber = subscribe({ [weak self] in (self?.listenerCount ?? 0) > 0 }) {
          [weak self] event in
          self?.receive(event)
        }
        state.subscriber = subscriber
        return (nil, subscriber)
      }
    }
    if let isReady { completion(isReady) }
    new?.open()
  }

  /// Whether the last refusal of the server is so long ago that it is asked once more.
  private func mayAskAgain() -> Bool {
    state.withLock { state in
      guard let refusal = state.refusedAt, refusal + Self.refusalTime <= clock.now else {
        return false
      }
      state.refusedAt = nil
      return true
    }
  }

  /// Connects again, because the server is the wrong one by now.
  func reconnect(because reason: String) {
    let subscriber = state.withLock { state in
      if state.readiness == .ready { state.readiness = .opening }
      return state.subscriber
    }
    subscriber?.reconnect(because: reason, isElsewhere: false)
  }

  /// Passes on notices about a token from now on.
  func listen(for token: String, _ listener: @escaping @Sendable (Notice) -> Void) {
    state.withLock { $0.listeners[token] = Listener(receive: listener) }
  }

  /// Forgets a token that was given up.
  func forget(_ token: String) {
    // Most tokens have never waited.
    state.withLock { state in
      if !state.listeners.isEmpty { state.listeners[token] = nil }
    }
  }

  /// Forgets a token that was left to another process.
  ///
  /// The notice of its grant may still come: if that were given back, the other process would lose the lock.
  func retire(_ token: String) {
    let subscriber: (any ChannelSubscription)? = state.withLock { state in
      guard let listener = state.listeners[token] else { return nil }
      guard !listener.isTold, state.subscriber != nil else {
        state.listeners[token] = nil
        return nil
      }
      state.retired.insert(token)
      // The server may have subscribed a connection that does not know it yet: the probe follows then.
      guard state.isSubscribed, state.probes.add(token, isOwed: false) else { return nil }
      return state.subscriber
    }
    subscriber?.probe()
  }

  /// How many tokens have a listener.
  var listenerCount: Int { state.withLock { $0.listeners.count } }

  /// Disconnects for good.
  func close() {
    let (subscriber, waiting) = state.withLock { state in
      defer { state.waiting = [] }
      state.readiness = .unavailable
      return (state.subscriber.take(), state.waiting)
    }
    subscriber?.close()
    for one in waiting { one.completion(false) }
  }

  // MARK: Grants that were not told

  /// Notes that a poll has found a grant whose notice has not come.
  ///
  /// The answer to a poll often overtakes the notice. A probe is sent behind the notice on the same connection.
  /// Only if its answer comes first is the notice lost, and the channel reconnects.
  func noteUntoldGrant(of token: String) {
    let subscriber: (any ChannelSubscription)? = state.withLock { state in
      let listener = state.listeners[token]
      guard state.isSubscribed, listener?.isTold != true, listener?.isExcused != true,
        state.probes.add(token)
      else { return nil }
      return state.subscriber
    }
    subscriber?.probe()
  }

  private func probed() {
    let (subscriber, hasLost) = state.withLock { state in
      switch state.probes.answered() {
      case .done:
        state.forgetRetired()
        return ((any ChannelSubscription)?.none, false)
      case .probeAgain:
        state.forgetRetired()
        return (state.subscriber, false)
      case .lost:
        // What is retired stays so until the connection has ended: its notice may be the next.
        if state.subscriber != nil { state.readiness = .opening }
        return (state.subscriber, true)
      }
    }
    if hasLost {
      subscriber?.reconnect(because: "a message was missed", isElsewhere: false)
    } else {
      subscriber?.probe()
    }
  }

  // MARK: Where it is

  /// Makes sure that the channel is on the main connection's server, and moves it there if it is not.
  ///
  /// `isNewServer` tells that an answer under way may be from a former server. An unheard poll does not mean that,
  /// and a crowd of such polls must not keep every answer from counting.
  func verify(isNewServer: Bool = true) {
    let connection: Int? = state.withLock { state in
      // One server may allow what another has refused.
      let isRefused = state.readiness == .unavailable && state.subscriber != nil
      guard state.isSubscribed, state.readiness != .unavailable || isRefused && isNewServer else {
        return nil
      }
      if isRefused { state.readiness = .opening }
      guard !state.isVerifying else {
        if isNewServer { state.mustVerifyAgain = true }
        return nil
      }
      (state.isVerifying, state.mustVerifyAgain) = (true, false)
      return state.connection
    }
    guard let connection else { return }
    locate { [weak self] whereabouts in self?.located(whereabouts, connection: connection) }
  }

  private enum Next {
    case nothing, ready, verifyAgain, move((any ChannelSubscription)?), refused(String)
  }

  private func located(_ whereabouts: Whereabouts, connection: Int) {
    let next: Next = state.withLock { state in
      state.isVerifying = false
      guard state.isSubscribed, state.readiness != .unavailable else { return .nothing }
      guard state.connection == connection, !state.mustVerifyAgain else { return .verifyAgain }
      switch whereabouts {
      case .here: return state.readiness == .ready ? .nothing : .ready
      case .unknown: return .verifyAgain
      case .refused(let reason):
        state.refusedAt = clock.now
        return .refused(reason)
      case .elsewhere:
        state.readiness = .opening
        return .move(state.subscriber)
      }
    }
    switch next {
    case .nothing: break
    case .ready: settle(.ready, of: connection)
    case .verifyAgain: verify()
    case .move(let subscriber):
      subscriber?.reconnect(because: "it led to another server", isElsewhere: true)
    case .refused(let reason):
      reporter.willPoll(because: reason)
      settle(.unavailable, of: connection)
    }
  }

  // MARK: What arrives

  private func receive(_ event: Subscriber.Event) {
    switch event {
    case .message(let text):
      guard let message = GrantMessage(parsing: text) else { return }
      let listener = state.withLock { state in
        state.probes.remove(message.token)
        state.listeners[message.token]?.isTold = true
        defer {
          if state.retired.remove(message.token) != nil { state.listeners[message.token] = nil }
        }
        return state.listeners[message.token]
      }
      if let listener { listener.receive(.granted(message.numbers)) } else { giveBack(message) }
    case .probed: probed()
    case .subscribed:
      changeConnection(isSubscribed: true)
      verify()
    case .disconnected(.refused(let error)), .disconnected(.heldBack(let error)):
      changeConnection(isSubscribed: false)
      reporter.willPoll(because: error.message)
      settle(.unavailable)
    case .disconnected:
      changeConnection(isSubscribed: false)
      settle(.opening)
    }
  }

  private func changeConnection(isSubscribed: Bool) {
    let subscriber: (any ChannelSubscription)? = state.withLock { state in
      state.connection += 1
      state.isSubscribed = isSubscribed
      state.refusedAt = nil
      // A server that had refused has changed its mind.
      if isSubscribed, state.readiness == .unavailable, state.subscriber != nil {
        state.readiness = .opening
      }
      state.probes = GrantProbes()
      // A notice may have been sent on the connection before; so its absence says nothing about this one.
      for token in state.listeners.keys { state.listeners[token]?.isExcused = true }
      guard isSubscribed else {
        state.forgetRetired()
        return nil
      }
      var mustProbe = false
      for token in state.retired where state.probes.add(token, isOwed: false) { mustProbe = true }
      return mustProbe ? state.subscriber : nil
    }
    subscriber?.probe()
  }

  /// Notes whether the channel can be used, and tells all callers that wait for that or for a grant.
  ///
  /// A finding about a `connection` counts only as long as that is the present one.
  private func settle(_ readiness: Readiness, of connection: Int? = nil) {
    let (waiting, listeners): ([Waiting], [@Sendable (Notice) -> Void])
    (waiting, listeners) = state.withLock { state in
      if let connection, !state.isSubscribed || state.connection != connection { return ([], []) }
      // A closed channel stays closed.
      if state.subscriber != nil { state.readiness = readiness }
      let told = state.waiting.filter { $0.isWanted == nil || readiness != .opening }
      // Those that have ended by another cause would gather while no attempt succeeds.
      state.waiting =
        readiness == .opening ? state.waiting.filter { $0.isWanted?() == true } : []
      return (told, state.listeners.values.map(\.receive))
    }
    for one in waiting { one.completion(readiness == .ready) }
    // Notices sent meanwhile are lost: ask. Those sent from now on are, too: ask again soon.
    for listener in listeners { listener(.mayHaveMissed) }
  }
}
