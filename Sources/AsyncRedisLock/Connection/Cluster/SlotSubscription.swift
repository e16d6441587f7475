internal import Synchronization

/// The subscription to one channel in one slot of a cluster, at whatever node has the slot.
final class SlotSubscription: ChannelSubscription {
  private struct State {
    var subscriber: ShardSubscriber?
    var isOpen = false
    var isClosed = false
    /// Tells a pause from earlier ones.
    var attempt = 0
  }

  let channel: String
  /// Whether anything listens to the channel at present.
  let isWaitedFor: @Sendable () -> Bool
  let handler: @Sendable (Subscriber.Event) -> Void
  private let slot: Int
  private let cluster: ClusterConnection
  private let state = Locked(State())

  init(
    to channel: String, in slot: Int, of cluster: ClusterConnection,
    isWaitedFor: @escaping @Sendable () -> Bool,
    handler: @escaping @Sendable (Subscriber.Event) -> Void
  ) {
    self.channel = channel
    self.slot = slot
    self.cluster = cluster
    self.isWaitedFor = isWaitedFor
    self.handler = handler
  }

  func open() {
    let isNew = state.withLock { state in
      defer { state.isOpen = true }
      return !state.isOpen && !state.isClosed
    }
    if isNew { attach() }
  }

  func reconnect(because reason: String, isElsewhere: Bool) {
    let current = state.withLock { $0.subscriber }
    let owner = cluster.subscriber(of: slot)
    if let current, current === owner {
      current.reconnect(because: reason)
    } else {
      lost(current, because: .connectionLost(reason))
    }
    // The table of slots may be what is wrong.
    if isElsewhere { cluster.refresh() }
  }

  func probe() { state.withLock { $0.subscriber }?.probe(for: self) }

  func close() {
    let subscriber = state.withLock { state in
      state.isClosed = true
      state.attempt += 1
      return state.subscriber.take()
    }
    subscriber?.remove(self)
  }

  // MARK: For the subscriber

  /// Notes that a connection has ended; the subscriber makes another, unless the slot is elsewhere by then.
  func disconnected(from subscriber: ShardSubscriber, because cause: TransportError) {
    guard state.withLock({ $0.subscriber === subscriber && !$0.isClosed }) else { return }
    handler(.disconnected(cause))
    if cluster.subscriber(of: slot) !== subscriber { leave(subscriber, after: .zero) }
  }

  /// Notes that a subscription has ended, and looks for the node that has the slot by now.
  func lost(_ subscriber: ShardSubscriber?, because cause: TransportError) {
    guard state.withLock({ $0.subscriber === subscriber && !$0.isClosed }) else { return }
    handler(.disconnected(cause))
    if cluster.subscriber(of: slot) === subscriber {
      cluster.refresh()
      leave(subscriber, after: Self.pause)
    } else {
      leave(subscriber, after: .zero)
    }
  }

  /// Notes that a node has refused the channel.
  func refused(by subscriber: ShardSubscriber, _ error: ServerError) {
    let isFinal = error.remedy == .fail && error.code != .moved
    guard isFinal else {
      return lost(subscriber, because: .unreachable(error.message))
    }
    guard state.withLock({ $0.subscriber === subscriber && !$0.isClosed }) else { return }
    handler(.disconnected(.refused(error)))
    leave(subscriber, after: ListeningConnection.Pauses().afterRefusal)
  }

  private static let pause = Duration.milliseconds(50)

  private func leave(_ subscriber: ShardSubscriber?, after pause: Duration) {
    let attempt = state.withLock { state in
      state.subscriber = nil
      state.attempt += 1
      return state.attempt
    }
    subscriber?.remove(self)
    cluster.afterPause(pause) { [weak self] in
      guard let self, state.withLock({ $0.attempt == attempt && !$0.isClosed }) else { return }
      attach()
    }
  }

  private func attach() {
    let subscriber = cluster.subscriber(of: slot)
    let isAttached = state.withLock { state in
      guard !state.isClosed, state.subscriber == nil else { return false }
      state.subscriber = subscriber
      return true
    }
    guard isAttached else { return }
    if let subscriber {
      subscriber.add(self)
    } else {
      leave(nil, after: Self.pause)
    }
  }
}
