/// Decides about one attempt of a quorum to take keys: in a first round the keys, in a second the fencing token.
///
/// The numbers that the servers draw with the keys may be of any order. So the largest of them counts only when a
/// majority of the servers that have the keys has been raised above it. Each later majority has one of those servers, and
/// draws a larger number there.
struct QuorumAcquisition: Sendable {
  /// What to do next.
  enum Action {
    case none
    /// Raise the fence counters of some members above a number.
    case raise(above: UInt64, at: [Int])
    /// The attempt has ended.
    case conclude(Result<Acquisition, StoreFailure>)
  }

  private enum Phase {
    case asking
    case raising(QuorumTally, numbers: Range<UInt64>)
    case over
  }

  private let names: [String]
  private let isFencing: Bool
  /// How many fencing tokens to draw.
  private let count: Int
  /// Whether the keys are to be taken over from another token.
  private let isTakingOver: Bool
  private var keys: QuorumTally
  private var phase = Phase.asking
  private var sentAt: Instant?
  private var largest: UInt64 = 0
  private var others: [KeyState] = []

  /// The largest number that can be used as a fencing token: every client can represent it.
  private static let largestNumber: UInt64 = 1 << 53 - 1

  init(
    names: [String], connected: [Bool], isFencing: Bool, count: Int, isTakingOver: Bool = false
  ) {
    self.isTakingOver = isTakingOver
    self.names = names
    self.isFencing = isFencing
    self.count = count
    keys = QuorumTally(connected: connected)
  }

  /// Whether a majority has said that it has the keys.
  var hasMajority: Bool { keys.outcome == .carried }

  /// Processes the answer of a member to the request for the keys.
  mutating func answered(
    _ answer: Result<Acquisition, StoreFailure>, by member: Int, server: String?
  ) -> Action {
    switch answer {
    case .success(.held(let sentAt, let numbers)):
      keys.note(.yes(by: server), of: member)
      self.sentAt = min(self.sentAt ?? sentAt, sentAt)
      // Those that come later have no part in the number: the servers of the first majority suffice.
      if case .asking = phase { largest = max(largest, numbers.lowerBound) }
    case .success(.contended(let state)):
      keys.note(.no, of: member)
      others.append(state)
    case .failure(let failure): keys.note(.failure(failure), of: member)
    }
    switch phase {
    case .over: return .none
    case .asking: return next()
    case .raising(var fence, let numbers):
      guard case .success(.held) = answer else {
        fence.note(.no, of: member)
        return raising(fence, numbers)
      }
      return .raise(above: numbers.upperBound - 1, at: [member])
    }
  }

  /// Processes the answer of a member to the request to raise its counter.
  mutating func raised(
    _ answer: Result<Bool, StoreFailure>, by member: Int, server: String?
  ) -> Action {
    guard case .raising(var fence, let numbers) = phase else { return .none }
    switch answer {
    case .success(true): fence.note(.yes(by: server), of: member)
    case .success(false): fence.note(.no, of: member)
    case .failure(let failure): fence.note(.failure(failure), of: member)
    }
    return raising(fence, numbers)
  }

  /// Ends the attempt because its caller has given up; returns false if it has ended.
  mutating func cancel() -> Bool {
    if case .over = phase { return false }
    phase = .over
    return true
  }

  private mutating func next() -> Action {
    switch keys.outcome {
    case .open: return .none
    case .carried:
      guard isFencing else { return conclude(0..<0) }
      guard largest <= Self.largestNumber - UInt64(count) else {
        return fail(
          .refused(
            code: "ERR", message: "the fence counter is beyond 2^53 - 1", isTransient: false))
      }
      let numbers = largest..<largest + UInt64(count)
      var fence = QuorumTally(connected: keys.answers.map { $0 != .none(isAwaited: false) })
      for (member, answer) in keys.answers.enumerated() {
        switch answer {
        case .yes, .none: break
        case .no, .failure: fence.note(.no, of: member)
        }
      }
      phase = .raising(fence, numbers: numbers)
      return .raise(above: numbers.upperBound - 1, at: keys.yes)
    // Those without an answer may make the majority that the keys can be taken over from.
    case .declined where isTakingOver && !keys.isBeaten: return fail(shortage)
    case .declined:
      phase = .over
      return .conclude(.success(.contended(KeyState(ofMost: others))))
    case .unanswered: return fail(shortage)
    }
  }

  /// The failure of too few members to answer.
  private var shortage: StoreFailure {
    keys.failure("answered", count: keys.yesCount + keys.noCount, names: names)
  }

  private mutating func raising(_ fence: QuorumTally, _ numbers: Range<UInt64>) -> Action {
    switch fence.outcome {
    case .open:
      phase = .raising(fence, numbers: numbers)
      return .none
    case .carried: return conclude(numbers)
    case .declined, .unanswered:
      return fail(
        fence.failure("wrote the fencing token back", count: fence.yesCount, names: names))
    }
  }

  private mutating func conclude(_ numbers: Range<UInt64>) -> Action {
    guard let sentAt else {
      preconditionFailure("A majority has the keys, but none told since when.")
    }
    phase = .over
    return .conclude(.success(.held(sentAt: sentAt, numbers: numbers)))
  }

  private mutating func fail(_ failure: StoreFailure) -> Action {
    phase = .over
    return .conclude(.failure(failure))
  }
}

extension KeyState {
  /// What to tell about keys that several servers know other holders of: the holder that most of them name, and the
  /// shortest time left.
  init(ofMost states: [KeyState]) {
    let holders = states.compactMap(\.holder).filter { !$0.isEmpty }
    let counts = Dictionary(holders.map { ($0, 1) }, uniquingKeysWith: +)
    let holder = holders.max { (counts[$0] ?? 0) < (counts[$1] ?? 0) }
    let own = states.filter { $0.holder == holder }
    self.init(
      holder: holder ?? states.first?.holder, remaining: own.compactMap(\.remaining).min(),
      isEndless: !own.isEmpty && own.allSatisfy(\.isEndless))
  }
}
