internal import Synchronization

/// Where a locker is told of its grants; one for all keys, opened when somebody has to wait first.
final class Inbox: Sendable {
  private enum Readiness {
    case closed
    /// Being connected, for the first time or again.
    case opening
    case ready
    /// Not allowed, or closed for good.
    case unavailable
  }

  private struct State {
    var readiness = Readiness.closed
    var subscriber: Subscriber?
    /// Who wants to know when it is decided whether the inbox is ready.
    var waiting: [@Sendable (Bool) -> Void] = []
    var listeners: [String: @Sendable (Notice) -> Void] = [:]
  }

  private let configuration: LockerConfiguration
  private let channel: String
  private let reporter: Reporter
  /// Gets what is granted to a token that nobody listens for any more.
  private let giveBack: @Sendable (GrantMessage) -> Void
  private let state = Mutex(State())

  init(
    _ configuration: LockerConfiguration, channel: String, reporter: Reporter,
    giveBack: @escaping @Sendable (GrantMessage) -> Void
  ) {
    self.configuration = configuration
    self.channel = channel
    self.reporter = reporter
    self.giveBack = giveBack
  }

  deinit { close() }

  /// Whether a grant that is made now arrives.
  var isReady: Bool { state.withLock { $0.readiness == .ready } }

  /// Opens the inbox; the completion is called when it can be used, or when an attempt to open it has failed.
  func open(completion: @escaping @Sendable (Bool) -> Void) {
    let (isReady, new): (Bool?, Subscriber?) = state.withLock { state in
      switch state.readiness {
      case .ready: return (true, nil)
      case .unavailable: return (false, nil)
      case .opening:
        state.waiting.append(completion)
        return (nil, nil)
      case .closed:
        state.readiness = .opening
        state.waiting.append(completion)
        let subscriber = Subscriber(configuration, channel: channel) { [weak self] event in
          self?.receive(event)
        }
        state.subscriber = subscriber
        return (nil, subscriber)
      }
    }
    if let isReady { completion(isReady) }
    new?.open()
  }

  /// Passes on what is said about a token from now on.
  func listen(for token: String, _ listener: @escaping @Sendable (Notice) -> Void) {
    state.withLock { $0.listeners[token] = listener }
  }

  /// Forgets a token that was given up.
  func forget(_ token: String) {
    // Most tokens have never waited.
    state.withLock { state in
      if !state.listeners.isEmpty { state.listeners[token] = nil }
    }
  }

  /// For how many tokens somebody listens.
  var listenerCount: Int { state.withLock { $0.listeners.count } }

  /// Makes a new connection, because a grant did not arrive.
  func reconnect() {
    let subscriber = state.withLock { state in
      if state.readiness == .ready { state.readiness = .opening }
      return state.subscriber
    }
    subscriber?.reconnect()
  }

  /// Disconnects for good.
  func close() {
    let (subscriber, waiting) = state.withLock { state in
      defer { state.waiting = [] }
      state.readiness = .unavailable
      return (state.subscriber.take(), state.waiting)
    }
    subscriber?.close()
    for completion in waiting { completion(false) }
  }

  // MARK: What arrives

  private func receive(_ event: Subscriber.Event) {
    switch event {
    case .message(let text):
      guard let message = GrantMessage(parsing: text), let numbers = message.numbers else { return }
      let listener = state.withLock { $0.listeners[message.token] }
      if let listener { listener(.granted(numbers)) } else { giveBack(message) }
    case .subscribed: settle(.ready)
    case .disconnected(.refused(let error)):
      reporter.willPoll(because: error.message)
      settle(.unavailable)
    case .disconnected: settle(.opening)
    }
  }

  /// Notes whether the inbox can be used, and tells all who wait for that or for a grant.
  private func settle(_ readiness: Readiness) {
    let (waiting, listeners) = state.withLock { state in
      state.readiness = readiness
      defer { state.waiting = [] }
      return (state.waiting, Array(state.listeners.values))
    }
    for completion in waiting { completion(readiness == .ready) }
    // What was said meanwhile is lost: ask. What will be said is, too: ask again soon.
    for listener in listeners { listener(.mayHaveMissed) }
  }
}
