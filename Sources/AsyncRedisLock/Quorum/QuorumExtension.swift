/// Decides about the extension of one lease by the answers of the members of a quorum.
struct QuorumExtension: Sendable {
  private var tally: QuorumTally
  private var holder: String?
  private var isWanted = true
  /// Whether a majority was found to have the keys; that is for good.
  private(set) var outcome: Extended.Outcome?
  /// The members that do not have the keys, and are to be asked for them if a majority has them.
  private var absent: [Int] = []
  /// The numbers that members have drawn, by their order of arrival.
  private(set) var numbers: [Range<UInt64>] = []

  /// Creates the state of an extension that has not been answered.
  init(standings: [QuorumClaim.Standing], connected: [Bool]) {
    tally = QuorumTally(connected: zip(standings, connected).map { $0 == .held && $1 })
    for (member, standing) in standings.enumerated() {
      switch standing {
      case .held: break
      // It may have the keys, or get them; but only its next answer tells.
      case .asking: tally.note(.failure(.unreachable("asked for the keys just now")), of: member)
      // Keys that are there all the same will be taken back.
      case .refused, .spoiled:
        tally.note(.no, of: member)
        absent.append(member)
      }
    }
    decide()
  }

  /// Processes the answer of a member.
  mutating func answered(
    _ answer: Result<Extended.Outcome, StoreFailure>, by member: Int, server: String?,
    numbers drawn: Range<UInt64>
  ) {
    switch answer {
    case .success(.ours):
      tally.note(.yes(by: server), of: member)
      if !drawn.isEmpty { numbers.append(drawn) }
    case .success(.deleted):
      tally.note(.no, of: member)
      absent.append(member)
    case .success(.taken(let other)):
      tally.note(.no, of: member)
      holder = other
    case .success(.notAsked): isWanted = false
    case .success(.unconfirmed): tally.note(.failure(.unreachable("no answer")), of: member)
    case .failure(let failure): tally.note(.failure(failure), of: member)
    }
    decide()
  }

  /// Notes that a member does not have the keys because its server was restarted; that is no loss yet.
  ///
  /// Another's attempt may have the keys there, but the server does not count for that, either.
  mutating func wasForgotten(by member: Int) {
    tally.note(.failure(.unreachable("the server was restarted just now")), of: member)
    absent.append(member)
    decide()
  }

  private mutating func decide() {
    guard outcome == nil else { return }
    if !isWanted {
      outcome = .notAsked
    } else if tally.isBeaten {
      outcome = holder.map { .taken(by: $0) } ?? .deleted
    } else {
      switch tally.outcome {
      case .open: break
      case .carried: outcome = .ours
      // A failure, and no loss: those without an answer may have the keys.
      case .declined, .unanswered: outcome = .unconfirmed
      }
    }
  }

  /// Whether the outcome is that too few members have answered.
  var isUnknown: Bool { outcome == .unconfirmed }

  /// Takes out the members that can get the keys, because a majority has them.
  mutating func takeRepairs() -> [Int] {
    guard outcome == .ours else { return [] }
    defer { absent = [] }
    return absent
  }

  /// Why there is no outcome.
  func failure(names: [String]) -> StoreFailure {
    tally.failure("extended the lock", count: tally.yesCount, names: names)
  }
}
