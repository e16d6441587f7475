/// Counts the answers of the members of a quorum to one question.
struct QuorumTally: Sendable {
  /// The answer of one member.
  enum Answer: Sendable, Equatable {
    /// There is none yet, and maybe it is not waited for.
    case none(isAwaited: Bool)
    /// The process of the server has said yes, if it is known.
    case yes(by: String?)
    case no
    case failure(StoreFailure)
  }

  /// What the answers amount to.
  enum Outcome: Equatable {
    case open
    /// A majority has said yes.
    case carried
    /// A majority has answered, and no majority can say yes any more.
    case declined
    /// No majority can answer any more.
    case unanswered
  }

  private(set) var answers: [Answer]

  /// Creates a tally without answers.
  ///
  /// A member that is known to be disconnected is not waited for, unless the others are too few to decide.
  init(connected: [Bool]) {
    let isEnough = connected.count { $0 } >= Self.majority(of: connected.count)
    answers = connected.map { .none(isAwaited: $0 || !isEnough) }
  }

  static func majority(of count: Int) -> Int { count / 2 + 1 }

  var majority: Int { Self.majority(of: answers.count) }

  mutating func note(_ answer: Answer, of member: Int) { answers[member] = answer }

  // MARK: Counting

  /// The members that have said yes, without those that have turned out to be the same server as one before.
  var yes: [Int] {
    var servers: Set<String> = []
    return answers.indices.filter { index in
      guard case .yes(let server) = answers[index] else { return false }
      return server.map { servers.insert($0).inserted } ?? true
    }
  }

  var yesCount: Int {
    var (count, known) = (0, 0)
    for case .yes(let server) in answers {
      count += 1
      if server != nil { known += 1 }
    }
    // With fewer than two known processes, there is nothing to compare.
    return known < 2 ? count : yes.count
  }

  var noCount: Int { answers.count { $0 == .no } }

  /// How many answers are still waited for.
  var openCount: Int { answers.count { $0 == .none(isAwaited: true) } }

  var outcome: Outcome {
    let (yes, open) = (yesCount, openCount)
    if yes >= majority { return .carried }
    guard yes + open < majority else { return .open }
    let answered = yes + noCount
    if answered >= majority { return .declined }
    return answered + open < majority ? .unanswered : .open
  }

  /// Whether no majority can say yes, even if all those do that have not answered.
  var isBeaten: Bool { noCount > answers.count - majority }

  // MARK: Explaining

  /// The failure of a server that has answered already by another address.
  static let sameServer = StoreFailure.refused(
    code: "ERR", message: "this is the same server as another of the quorum", isTransient: false)

  /// The failure that the answers amount to; `done` tells what too few servers did, `names` how to name them.
  func failure(_ done: String, count: Int, names: [String]) -> StoreFailure {
    var (failures, reasons) = ([StoreFailure](), [String]())
    let counted = Set(yes)
    for (index, answer) in answers.enumerated() {
      let failure: StoreFailure
      switch answer {
      case .failure(let reason): failure = reason
      case .none(isAwaited: true): failure = .unreachable("no answer yet")
      case .none(isAwaited: false): failure = .unreachable("not connected")
      case .yes where !counted.contains(index):
        failure = Self.sameServer
      case .yes, .no: continue
      }
      failures.append(failure)
      let reason = LockError(failure, keys: []).message
      reasons.append(reason.contains(names[index]) ? reason : "\(names[index]): \(reason)")
    }
    let text =
      "\(count) of \(answers.count) servers \(done), \(majority) needed"
      + (reasons.isEmpty ? "" : ": ") + reasons.joined(separator: "; ")
    return summary(of: failures, text)
  }

  private func summary(of failures: [StoreFailure], _ text: String) -> StoreFailure {
    if failures.contains(.closed) { return .closed }
    // Whatever the others may say, and however often they are asked: there can be no majority.
    let final = failures.filter(\.isFinal)
    let isHopeless = final.count > answers.count - majority
    // As many refusals that may pass decide, too, so it does not matter which servers have answered before the others.
    let refusals = failures.filter(\.isRefusal)
    let reasons =
      isHopeless ? final : refusals.count > answers.count - majority ? refusals : failures
    let codes = reasons.compactMap(\.refusalCode)
    if let code = codes.first, isHopeless || codes.count == reasons.count {
      return .refused(code: code, message: text, isTransient: !isHopeless)
    }
    let isAboutTLS = !reasons.isEmpty && reasons.allSatisfy(\.isAboutTLS)
    return isAboutTLS ? .tlsFailed(text) : .unreachable(text)
  }
}

extension StoreFailure {
  /// Whether the servers have refused.
  var isRefusal: Bool { refusalCode != nil }

  fileprivate var isAboutTLS: Bool { if case .tlsFailed = self { true } else { false } }

  fileprivate var refusalCode: String? {
    if case .refused(let code, _, _) = self { code } else { nil }
  }

  /// Whether the server is sure to say so again.
  fileprivate var isFinal: Bool {
    switch self {
    case .tlsFailed, .refused(_, _, isTransient: false): true
    case .refused, .cancelled, .closed, .unreachable, .unknown, .severalSlots, .unintelligible,
      .notAcknowledged:
      false
    }
  }
}

extension LockError {
  fileprivate init(_ failure: StoreFailure, keys: [String]) {
    self.init(failure, keys: keys, phase: .acquire)
  }
}
