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
    /// The sentinels that have answered, if only that they do not know the primary.
    var answered: Set<Address.Sentinel> = []
    /// Whether the others were waited for until the end.
    var isFull = false
  }

  /// What news of a sentinel mean for the connections.
  enum News: Equatable {
    case none
    /// All sentinels should be asked.
    case doubtful
    /// They lead to a server that is not the primary any more.
    case changed
    /// The sentinels name a server that has denied that it is the primary: it should be asked again.
    case denied(PrimaryAnswer)
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
  /// The sentinels that have not answered, though they were waited for.
  private var silent: Set<Address.Sentinel> = []
  /// What each sentinel answered to the last survey in the background, which has more time than a login has.
  private var heard: [Address.Sentinel: PrimaryAnswer] = [:]
  /// How many surveys that waited for all have not heard of the latest failover.
  private var doubts = 0

  /// After this many such surveys, the failover is forgotten.
  ///
  /// Sentinels hear of a failover from each other within two seconds. The surveys take longer.
  private static let mostDoubts = 2

  init(_ sentinels: [Address.Sentinel]) { order = sentinels }

  /// Chooses what to connect to among the answers of a survey: the first is tried first.
  ///
  /// Only the latest failover counts. Sentinels learn of it one by one, within seconds, and the old primary may take
  /// writes for as long. An earlier one counts again if the server of the latest denies that it is the primary. It
  /// also counts if all sentinels have answered, or most of them name it: they may have been set up anew. Among equal
  /// ones, most sentinels decide, and then the address, so that all lockers choose the same. Servers that have denied
  /// it come last, since they may be the primary by now.
  mutating func choose(from answers: Answers) -> [Named] {
    silent =
      answers.isFull
      ? Set(order).subtracting(answers.answered) : silent.subtracting(answers.answered)
    let named = answers.named + votesOfLate(answers)
    if named.allSatisfy({ refuted.contains($0.answer.address) }) { refuted = [] }
    let possible = named.filter { !refuted.contains($0.answer.address) }
    let denied = ranked(named, isComplete: answers.isComplete)
      .filter { refuted.contains($0.answer.address) }
    return ranked(possible, isComplete: answers.isComplete) + denied
  }

  /// What sentinels that have not answered in time said when they had more, if it is about the same failover.
  ///
  /// Otherwise each login would follow the fast ones, and each survey behind it the others.
  private func votesOfLate(_ answers: Answers) -> [Named] {
    guard let newest = answers.named.map(\.answer.epoch).max(), newest >= latest?.epoch ?? 0
    else { return [] }
    let answered = answers.answered.union(answers.named.map(\.sentinel))
    return heard.filter { !answered.contains($0.key) && $0.value.epoch == newest }
      .map { Named(sentinel: $0.key, answer: $0.value) }
  }

  private func ranked(_ named: [Named], isComplete: Bool) -> [Named] {
    guard let newest = named.map(\.answer.epoch).max() else { return [] }
    let isBehind = !isComplete && newest < latest?.epoch ?? 0
    let naming = Dictionary(
      grouping: named.filter { isBehind || $0.answer.epoch == newest }, by: \.answer.address)
    let fewest = isBehind ? order.count / 2 + 1 : 1
    return naming.values.filter { $0.count >= fewest }
      .compactMap { named in named.min { rank(of: $0) < rank(of: $1) }.map { (named.count, $0) } }
      .sorted { (-$0.0, "\($0.1.answer.address)") < (-$1.0, "\($1.1.answer.address)") }.map(\.1)
  }

  /// Whether those that have not answered yet cannot outvote what is chosen among some answers.
  ///
  /// Sentinels that did not answer when they were waited for do not count: one whose host is gone must not hold up
  /// every login.
  func isSettled(_ answers: Answers, awaited: Set<Address.Sentinel>) -> Bool {
    let possible = answers.named.filter { !refuted.contains($0.answer.address) }
    guard let newest = possible.map(\.answer.epoch).max(), newest >= latest?.epoch ?? 0 else {
      return false
    }
    let naming = Dictionary(
      grouping: possible.filter { $0.answer.epoch == newest }, by: \.answer.address)
    let votes = naming.values.map(\.count).sorted(by: >)
    let late = awaited.subtracting(silent).count
    return late == 0 || votes[0] > (votes.dropFirst().first ?? 0) + late
  }

  private func rank(of named: Named) -> Int { order.firstIndex(of: named.sentinel) ?? order.count }

  /// Notes that the connection for requests is about to lead to a server that a sentinel has named.
  ///
  /// Returns false if another has been told since the sentinel was asked.
  mutating func connected(to named: Named, changeCount: Int) -> Bool {
    guard changeCount == self.changeCount else { return false }
    primary = named.answer
    latest = named.answer
    doubts = 0
    refuted.remove(named.answer.address)
    move(named.sentinel, toFront: true)
    return true
  }

  /// Notes that the server of the connection for requests is not the primary: another sentinel may know better.
  mutating func isNotPrimary(_ address: Address, namedBy sentinel: Address.Sentinel?) {
    if primary?.address == address { primary = nil }
    if latest?.address == address { latest = nil }
    refuted.insert(address)
    if let sentinel, order.first == sentinel { move(sentinel, toFront: false) }
  }

  /// Notes that a server has told another connection that it is not the primary.
  ///
  /// The connection for requests has to be made anew then: as long as it is there, ``primary`` must tell where it
  /// leads.
  mutating func isDoubted(_ address: Address) -> News {
    guard primary?.address == address else { return .none }
    changeCount += 1
    primary = nil
    return .changed
  }

  /// Processes a server's answer that it is the primary, though it has denied that before.
  mutating func confirmed(_ answer: PrimaryAnswer, changeCount: Int) -> News {
    guard changeCount == self.changeCount, primary != nil else { return .none }
    return note(answer)
  }

  /// Processes what a sentinel answered when it began to be watched.
  mutating func answered(_ answer: PrimaryAnswer) -> News {
    guard let latest, answer.epoch <= latest.epoch, answer.address != latest.address else {
      return note(answer)
    }
    // A sentinel that comes back may lag behind the others; or all of them have been set up anew.
    return primary?.address == answer.address ? .none : .doubtful
  }

  /// Processes a sentinel's message that another server has become the primary.
  mutating func told(_ address: Address, by sentinel: Address.Sentinel) -> News {
    move(sentinel, toFront: true)
    if address == primary?.address { return .none }
    // The message has no number. It is about a failover behind those that are known, unless it comes late.
    let isKnown = latest?.address == address
    let former = doubts
    defer { doubts = isKnown ? former : 0 }
    return note(
      PrimaryAnswer(address: address, epoch: (latest?.epoch ?? 0) + (isKnown ? 0 : 1)))
  }

  /// Processes a survey that was made in the background.
  mutating func surveyed(_ answers: Answers, changeCount: Int) -> News {
    guard changeCount == self.changeCount else { return .none }
    heard = Dictionary(
      answers.named.map { ($0.sentinel, $0.answer) }, uniquingKeysWith: { _, last in last })
    let candidates = choose(from: answers)
    guard let chosen = candidates.first else { return doubt(answers) }
    guard primary != nil else { return .none }
    let news = note(chosen.answer)
    // Nothing is left to be heard of.
    if answers.isComplete { latest = chosen.answer }
    guard news == .none,
      let first = ranked(answers.named, isComplete: answers.isComplete).first,
      refuted.contains(first.answer.address)
    else { return news }
    return .denied(first.answer)
  }

  /// Forgets the latest failover if the sentinels that answer have had time to hear of it, and have not.
  ///
  /// They have been set up anew, while most others are dead. Otherwise there would be no connection as long as they
  /// are, and one that there is would lead to another server than those of new lockers.
  private mutating func doubt(_ answers: Answers) -> News {
    guard answers.isFull, !answers.named.isEmpty else { return .none }
    doubts += 1
    guard doubts >= Self.mostDoubts else { return .none }
    (latest, doubts) = (nil, 0)
    guard let chosen = choose(from: answers).first else { return .none }
    guard primary != nil else {
      latest = chosen.answer
      return .none
    }
    return note(chosen.answer)
  }

  private mutating func note(_ answer: PrimaryAnswer) -> News {
    refuted.remove(answer.address)
    // An older answer may name the same server, which has become the primary again since.
    let isOlder = latest.map { $0.address == answer.address && answer.epoch < $0.epoch } ?? false
    if !isOlder { (latest, doubts) = (answer, 0) }
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
