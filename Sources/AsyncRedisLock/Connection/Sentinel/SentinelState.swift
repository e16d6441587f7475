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

  /// What all sentinels have answered to one survey.
  struct Answers: Sendable {
    var named: [Named] = []
    /// Whether each sentinel has answered, if only that it does not know the primary.
    var isComplete = false
  }

  /// What news of a sentinel mean for the connections.
  enum News: Equatable {
    case none
    /// All sentinels should be asked.
    case doubtful
    /// They lead to a server that is not the primary any more.
    case changed
  }

  /// The sentinels in the order of trust: the one that gave the last good answer is the first.
  private(set) var order: [Address.Sentinel]
  /// The server that the connection for requests leads to, or is about to; nil if that is not known.
  private(set) var primary: PrimaryAnswer?
  /// How often a sentinel has told of another primary: what was asked before that does not count any more.
  private(set) var changeCount = 0
  /// The latest failover that a sentinel has told of; a connection may lead to an earlier one only if all agree.
  private(set) var latest: PrimaryAnswer?
  /// The servers that have said themselves that they are not the primary.
  private var refuted: Set<Address> = []

  init(_ sentinels: [Address.Sentinel]) { order = sentinels }

  /// Chooses what to connect to among the answers of a survey: the first is tried first.
  ///
  /// Only the latest failover counts. Sentinels learn of it one by one, within seconds, and the old primary may take
  /// writes for as long. An earlier one counts again if the server of the latest denies that it is the primary. It
  /// also counts if all sentinels have answered, or most of them name it: they may have been set up anew. Among equal
  /// ones, most sentinels decide, so that all lockers choose the same.
  mutating func choose(from answers: Answers) -> [Named] {
    if answers.named.allSatisfy({ refuted.contains($0.answer.address) }) { refuted = [] }
    let possible = answers.named.filter { !refuted.contains($0.answer.address) }
    guard let newest = possible.map(\.answer.epoch).max() else { return [] }
    let isBehind = !answers.isComplete && newest < latest?.epoch ?? 0
    let naming = Dictionary(
      grouping: possible.filter { isBehind || $0.answer.epoch == newest }, by: \.answer.address)
    let fewest = isBehind ? order.count / 2 + 1 : 1
    return naming.values.filter { $0.count >= fewest }
      .compactMap { named in named.min { rank(of: $0) < rank(of: $1) }.map { (named.count, $0) } }
      .sorted { (-$0.0, rank(of: $0.1)) < (-$1.0, rank(of: $1.1)) }.map(\.1)
  }

  private func rank(of named: Named) -> Int { order.firstIndex(of: named.sentinel) ?? order.count }

  /// Notes that the connection for requests is about to lead to a server that a sentinel has named.
  ///
  /// Returns false if another has been told since the sentinel was asked.
  mutating func connected(to named: Named, changeCount: Int) -> Bool {
    guard changeCount == self.changeCount else { return false }
    primary = named.answer
    latest = named.answer
    move(named.sentinel, toFront: true)
    return true
  }

  /// Notes that a server turned out not to be the primary: another sentinel may know better.
  mutating func isNotPrimary(_ address: Address, namedBy sentinel: Address.Sentinel?) {
    if primary?.address == address { primary = nil }
    if latest?.address == address { latest = nil }
    refuted.insert(address)
    if let sentinel, order.first == sentinel { move(sentinel, toFront: false) }
  }

  /// Processes what a sentinel answered when it began to be watched.
  mutating func answered(_ answer: PrimaryAnswer) -> News {
    guard let latest, answer.epoch <= latest.epoch, answer.address != latest.address else {
      return note(answer)
    }
    // A sentinel that comes back may lag behind the others; or all of them have been set up anew.
    if primary == nil { changeCount += 1 }
    return primary?.address == answer.address ? .none : .doubtful
  }

  /// Processes a sentinel's message that another server has become the primary.
  mutating func told(_ address: Address, by sentinel: Address.Sentinel) -> News {
    move(sentinel, toFront: true)
    if address == primary?.address { return .none }
    // The message has no number. It is about a failover behind those that are known, unless it comes late.
    let isKnown = latest?.address == address
    return note(
      PrimaryAnswer(address: address, epoch: (latest?.epoch ?? 0) + (isKnown ? 0 : 1)))
  }

  /// Processes a survey that was made while a connection works.
  mutating func surveyed(_ answers: Answers, changeCount: Int) -> News {
    guard changeCount == self.changeCount, primary != nil,
      let chosen = choose(from: answers).first
    else { return .none }
    let news = note(chosen.answer)
    // Nothing is left to be heard of.
    if answers.isComplete { latest = chosen.answer }
    return news
  }

  private mutating func note(_ answer: PrimaryAnswer) -> News {
    refuted.remove(answer.address)
    // An older answer may name the same server, which has become the primary again since.
    let isOlder = latest.map { $0.address == answer.address && answer.epoch < $0.epoch } ?? false
    if !isOlder { latest = answer }
    if primary?.address == answer.address {
      primary = answer
      return .none
    }
    changeCount += 1
    return primary.take() == nil ? .none : .changed
  }

  private mutating func move(_ sentinel: Address.Sentinel, toFront: Bool) {
    guard let index = order.firstIndex(of: sentinel) else { return }
    order.remove(at: index)
    order.insert(sentinel, at: toFront ? 0 : order.endIndex)
  }
}
