/// Listens on some channels of one server, on a connection of its own.
final class Subscriber: ListeningConnection.Listener, ChannelSubscription {
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

  let channels: [String]
  private let connection: ListeningConnection
  /// Whether anything listens to the channels at present.
  private let isListenedTo: @Sendable () -> Bool
  private let handler: @Sendable (Event) -> Void

  init(
    _ configuration: LockerConfiguration, channels: [String], over opener: any StreamOpener,
    connectHook: Handshake.ConnectHook? = nil, isSentinel: Bool = false,
    pauses: ListeningConnection.Pauses = .init(), on machine: any Machine, loginGate: LoginGate,
    isWaitedFor: @escaping @Sendable () -> Bool, handler: @escaping @Sendable (Event) -> Void
  ) {
    self.channels = channels
    let opener = LoginOpener(
      configuration, over: opener, connectHook: connectHook, isSentinel: isSentinel, on: machine)
    connection = ListeningConnection(
      configuration, .plain, over: opener, pauses: pauses, on: machine, loginGate: loginGate)
    isListenedTo = isWaitedFor
    self.handler = handler
  }

  deinit { close() }

  func open() { connection.open(for: self) }

  func reconnect(because reason: String, isElsewhere: Bool) {
    connection.reconnect(because: reason, isElsewhere: isElsewhere)
  }

  func probe() {
    connection.perform { stream in
      guard let stream, stream.isReady else { return true }
      return stream.probe()
    }
  }

  func close() { connection.close() }

  // MARK: For the connection

  var isWaitedFor: Bool { isListenedTo() }

  func connected() { handler(.subscribed) }

  func receive(_ arrival: MessageStream.Arrival) {
    switch arrival {
    case .message(let text, on: _): handler(.message(text))
    case .probed: handler(.probed)
    // All are confirmed by the time that the connection works; none ends alone.
    case .subscribed, .refused, .ended: break
    }
  }

  func disconnected(because cause: TransportError) { handler(.disconnected(cause)) }
}
