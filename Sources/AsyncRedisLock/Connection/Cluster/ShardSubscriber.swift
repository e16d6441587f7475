internal import Synchronization

/// Listens on the channels of the slots of one node of a cluster, on a connection of its own.
final class ShardSubscriber: ListeningConnection.Listener {
  private struct State {
    /// The parties that listen, by their channels.
    var listeners: [String: SlotSubscription] = [:]
    /// Those that wait for the answers to their probes, in order; nil for one that has left.
    var probing: [SlotSubscription?] = []
  }

  private let connection: ListeningConnection
  private let state = Locked(State())

  /// Creates a subscriber to the node at the address of a configuration.
  init(_ configuration: LockerConfiguration, on machine: any Machine, loginGate: LoginGate) {
    let opener = LoginOpener(
      configuration, over: machine.makeOpener(for: configuration), connectHook: nil, on: machine)
    connection = ListeningConnection(
      configuration, .sharded, over: opener, on: machine, loginGate: loginGate)
  }

  deinit { close() }

  /// Tells a listener from now on what happens on its channel.
  func add(_ listener: SlotSubscription) {
    // On the queue, so that a stream that begins meanwhile knows the channel, or is asked for it.
    connection.perform { [weak self] stream in
      guard let self else { return true }
      state.withLock { $0.listeners[listener.channel] = listener }
      return stream?.subscribe(to: listener.channel) ?? true
    }
    connection.open(for: self)
  }

  /// Tells a listener nothing more.
  ///
  /// The server goes on sending. To end the subscription would be ambiguous: the server also ends it by itself.
  func remove(_ listener: SlotSubscription) {
    state.withLock { state in
      if state.listeners[listener.channel] === listener { state.listeners[listener.channel] = nil }
      // The answer still comes, and it must not pass for that to a later probe.
      for index in state.probing.indices where state.probing[index] === listener {
        state.probing[index] = nil
      }
    }
  }

  /// Gives up a working connection and makes another.
  func reconnect(because reason: String) {
    connection.reconnect(because: reason, isElsewhere: false)
  }

  /// Asks for the end of what was published so far, on behalf of a listener.
  func probe(for listener: SlotSubscription) {
    connection.perform { [weak self] stream in
      guard let self, let stream, stream.isReady else { return true }
      let isKnown = state.withLock { state in
        guard state.listeners[listener.channel] === listener else { return false }
        state.probing.append(listener)
        return true
      }
      return isKnown ? stream.probe() : true
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
  func close() { connection.close() }

  // MARK: For the connection

  var channels: [String] { state.withLock { Array($0.listeners.keys) } }

  var isWaitedFor: Bool { listeners.contains { $0.isWaitedFor() } }

  func connected() {}

  func receive(_ arrival: MessageStream.Arrival) {
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

  func disconnected(because cause: TransportError) {
    state.withLock { $0.probing = [] }
    for listener in listeners { listener.disconnected(from: self, because: cause) }
  }

  private var listeners: [SlotSubscription] { state.withLock { Array($0.listeners.values) } }

  private func listener(on channel: String) -> SlotSubscription? {
    state.withLock { $0.listeners[channel] }
  }
}
