/// What a locker knows of its sentinels and of the primary.
///
/// A pure state machine: the classes around it ask and connect.
struct SentinelState {
  typealias Address = LockerConfiguration.Address

  /// The answer of a sentinel.
  struct Named: Equatable, Sendable {
    let sentinel: Address.Sentinel
    let answer: PrimaryAnswer
  }

  /// What news of a sentinel mean for the connections.
  enum News: Equatable {
    case none
    /// They lead to a server that is not the primary any more.
    case changed
  }

  /// The sentinels in the order of trust: the one that gave the last good answer is the first.
  private(set) var order: [Address.Sentinel]
  /// The server that the connection for requests leads to, or is about to; nil if that is not known.
  private(set) var primary: PrimaryAnswer?
  /// How often a sentinel has told of another primary: what was asked before that does not count any more.
  private(set) var changeCount = 0
  /// The servers that have said themselves that they are not the primary.
  private var refuted: Set<Address> = []

  init(_ sentinels: [Address.Sentinel]) { order = sentinels }

  /// Chooses what to connect to among the answers of all sentinels: the first is tried first.
  ///
  /// Only the latest failover counts. Sentinels learn of it one by one, within seconds, and the old primary may take
  /// writes for as long. An earlier one counts again if the server of the latest denies that it is the primary.
  mutating func choose(from answers: [Named]) -> [Named] {
    if answers.allSatisfy({ refuted.contains($0.answer.address) }) { refuted = [] }
    let possible = answers.filter { !refuted.contains($0.answer.address) }
    let latest = possible.map(\.answer.epoch).max()
    var seen: Set<Address> = []
    return order.compactMap { sentinel in
      possible.first { named in
        named.sentinel == sentinel && named.answer.epoch == latest
          && seen.insert(named.answer.address).inserted
      }
    }
  }

  /// Notes that the connection for requests is about to lead to a server that a sentinel has named.
  ///
  /// Returns false if another has been told since the sentinel was asked.
  mutating func connected(to named: Named, changeCount: Int) -> Bool {
    guard changeCount == self.changeCount else { return false }
    primary = named.answer
    move(named.sentinel, toFront: true)
    return true
  }

  /// Notes that a server turned out not to be the primary: another sentinel may know better.
  mutating func isNotPrimary(_ address: Address, namedBy sentinel: Address.Sentinel?) {
    if primary?.address == address { primary = nil }
    refuted.insert(address)
    if let sentinel, order.first == sentinel { move(sentinel, toFront: false) }
  }

  /// Processes what a sentinel answered when it began to be watched.
  mutating func answered(_ answer: PrimaryAnswer) -> News {
    // A sentinel that comes back may lag behind the others.
    if let primary, answer.epoch < primary.epoch { return .none }
    return note(answer.address)
  }

  /// Processes a sentinel's message that another server has become the primary.
  mutating func told(_ address: Address, by sentinel: Address.Sentinel) -> News {
    move(sentinel, toFront: true)
    return note(address)
  }

  private mutating func note(_ address: Address) -> News {
    refuted.remove(address)
    guard primary?.address != address else { return .none }
    changeCount += 1
    return primary.take() == nil ? .none : .changed
  }

  private mutating func move(_ sentinel: Address.Sentinel, toFront: Bool) {
    guard let index = order.firstIndex(of: sentinel) else { return }
    order.remove(at: index)
    order.insert(sentinel, at: toFront ? 0 : order.endIndex)
  }
}
