/// What a locker knows of its sentinels and of the primary.
///
/// A pure state machine: the classes around it ask and connect.
struct SentinelState {
  typealias Address = LockerConfiguration.Address

  /// What the answer of a sentinel about the primary means.
  enum News: Equatable {
    case none
    /// The connections lead to a server that is not the primary any more.
    case changed
  }

  /// The sentinels in the order to ask them: the one that gave the last good answer is the first.
  private(set) var order: [Address.Sentinel]
  /// The server that the connection for requests leads to, or is about to; nil if that is not known.
  private(set) var primary: Address?
  /// How often a sentinel has told of a change: what was asked before that does not count any more.
  private(set) var changeCount = 0

  init(_ sentinels: [Address.Sentinel]) { order = sentinels }

  /// Notes that the connection for requests is about to lead to a server that a sentinel has named.
  ///
  /// Returns false if a change has been told since the sentinel was asked.
  mutating func connected(
    to primary: Address, namedBy sentinel: Address.Sentinel, changeCount: Int
  ) -> Bool {
    guard changeCount == self.changeCount else { return false }
    self.primary = primary
    move(sentinel, toFront: true)
    return true
  }

  /// Notes that a server turned out not to be the primary: another sentinel may know better.
  mutating func isNotPrimary(_ address: Address, namedBy sentinel: Address.Sentinel?) {
    if primary == address { primary = nil }
    if let sentinel, order.first == sentinel { move(sentinel, toFront: false) }
  }

  /// Processes what a sentinel answered when it was asked for the primary.
  mutating func answered(_ address: Address) -> News { note(address) }

  /// Processes a sentinel's message that another server has become the primary.
  mutating func told(_ address: Address, by sentinel: Address.Sentinel?) -> News {
    changeCount += 1
    if let sentinel { move(sentinel, toFront: true) }
    return note(address)
  }

  private mutating func note(_ address: Address) -> News {
    guard let primary, primary != address else { return .none }
    self.primary = nil
    return .changed
  }

  private mutating func move(_ sentinel: Address.Sentinel, toFront: Bool) {
    guard let index = order.firstIndex(of: sentinel) else { return }
    order.remove(at: index)
    order.insert(sentinel, at: toFront ? 0 : order.endIndex)
  }
}
