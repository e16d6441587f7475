import Testing

@testable import AsyncRedisLock

@Suite("The decisions of a quorum", .timeLimit(.minutes(2)))
struct QuorumDecisionTests {
  private let start = Instant.now

  /// An attempt whose answers have effects in expectations, too.
  private final class Trial {
    private var attempt: QuorumAcquisition

    init(_ count: Int, isFencing: Bool, numbers: Int) {
      attempt = QuorumAcquisition(
        names: (0..<count).map { "server \($0)" }, connected: Array(repeating: true, count: count),
        isFencing: isFencing, count: numbers)
    }

    func answered(
      _ answer: Result<Acquisition, StoreFailure>, by member: Int, server: String?
    ) -> QuorumAcquisition.Action { attempt.answered(answer, by: member, server: server) }

    func raised(
      _ answer: Result<Bool, StoreFailure>, by member: Int, server: String?
    ) -> QuorumAcquisition.Action { attempt.raised(answer, by: member, server: server) }

    func cancel() -> Bool { attempt.cancel() }
  }

  private func attempt(_ count: Int = 3, isFencing: Bool = true, numbers: Int = 1) -> Trial {
    Trial(count, isFencing: isFencing, numbers: numbers)
  }

  private func held(_ number: UInt64, after pause: Duration = .zero) -> Result<
    Acquisition, StoreFailure
  > { .success(.held(sentAt: start + pause, numbers: number..<number + 1)) }

  private let contended = Result<Acquisition, StoreFailure>.success(
    .contended(KeyState(holder: "other", remaining: .seconds(1))))

  private let failed = Result<Acquisition, StoreFailure>.failure(.unreachable("away"))

  /// Describes an action in a few words.
  private func text(_ action: QuorumAcquisition.Action) -> String {
    switch action {
    case .none: "none"
    case .raise(let number, let members): "raise above \(number) at \(members)"
    case .conclude(.success(.held(let sentAt, let numbers))):
      "held since \(start.duration(to: sentAt)), \(numbers)"
    case .conclude(.success(.contended(let state))): "contended by \(state.holder ?? "?")"
    case .conclude(.failure): "failed"
    }
  }

  @Test("The largest number of a majority counts, once a majority has been raised above it")
  func twoRounds() {
    let attempt = self.attempt()
    #expect(text(attempt.answered(held(7, after: .seconds(2)), by: 0, server: "a")) == "none")
    #expect(
      text(attempt.answered(held(40, after: .seconds(1)), by: 2, server: "c"))
        == "raise above 40 at [0, 2]")
    #expect(text(attempt.raised(.success(true), by: 0, server: "a")) == "none")
    // A late server takes part, but its number does not count any more.
    #expect(
      text(attempt.answered(held(99), by: 1, server: "b")) == "raise above 40 at [1]")
    #expect(
      text(attempt.raised(.success(true), by: 1, server: "b")) == "held since 0.0 seconds, 40..<41")
    #expect(text(attempt.raised(.success(true), by: 2, server: "c")) == "none")
    #expect(!attempt.cancel())
  }

  @Test("A lock whose number cannot be written back to a majority is none")
  func notWrittenBack() {
    let attempt = self.attempt()
    _ = attempt.answered(held(7), by: 0, server: "a")
    _ = attempt.answered(held(8), by: 1, server: "b")
    #expect(text(attempt.answered(failed, by: 2, server: nil)) == "none")
    // The key has expired there, or was deleted.
    #expect(text(attempt.raised(.success(false), by: 0, server: "a")) == "failed")
    #expect(text(attempt.raised(.success(true), by: 1, server: "b")) == "none")
  }

  @Test("A block of numbers begins at the largest, and without fencing there is one round")
  func blocks() {
    let block = attempt(numbers: 16)
    _ = block.answered(held(7), by: 0, server: "a")
    #expect(text(block.answered(held(5), by: 1, server: "b")) == "raise above 22 at [0, 1]")
    let plain = attempt(isFencing: false)
    let answer = Result<Acquisition, StoreFailure>.success(.held(sentAt: start, numbers: 0..<0))
    _ = plain.answered(answer, by: 0, server: nil)
    #expect(text(plain.answered(answer, by: 2, server: nil)) == "held since 0.0 seconds, 0..<0")
  }

  @Test("Numbers beyond what clients can represent are refused")
  func largest() {
    let attempt = self.attempt()
    _ = attempt.answered(held(1 << 53 - 1), by: 0, server: "a")
    #expect(text(attempt.answered(held(7), by: 1, server: "b")) == "failed")
  }

  @Test(
    "If no majority is free, the holder that most servers name has the lock; if too few answer, none has"
  )
  func withoutMajority() {
    let split = attempt(5)
    _ = split.answered(held(1), by: 0, server: "a")
    _ = split.answered(held(1), by: 1, server: "b")
    _ = split.answered(contended, by: 2, server: "c")
    _ = split.answered(contended, by: 3, server: "d")
    #expect(
      text(
        split.answered(
          .success(.contended(KeyState(holder: "third", remaining: .zero))), by: 4, server: "e"))
        == "contended by other")
    let down = attempt()
    _ = down.answered(failed, by: 0, server: nil)
    #expect(text(down.answered(failed, by: 1, server: nil)) == "failed")
    #expect(text(down.answered(held(1), by: 2, server: "c")) == "none")
    let one = attempt()
    _ = one.answered(contended, by: 0, server: "a")
    #expect(text(one.answered(failed, by: 1, server: nil)) == "none", "the third may know more")
    #expect(text(one.answered(contended, by: 2, server: "c")) == "contended by other")
  }

  // MARK: Extensions

  /// The outcome of an extension: the standings and the answers of three servers, one letter each.
  private func outcome(_ standings: String, _ answers: String) -> (Extended.Outcome?, [Int]) {
    var lease = QuorumExtension(
      standings: standings.map { letter in
        switch letter {
        case "h": .held
        case "a": .asking
        case "s": .spoiled
        default: .refused
        }
      }, connected: standings.map { _ in true })
    for (member, answer) in answers.enumerated() {
      let result: Result<Extended.Outcome, StoreFailure>
      switch answer {
      case "o": result = .success(.ours)
      case "g": result = .success(.deleted)
      case "t": result = .success(.taken(by: "other"))
      case "f": result = .failure(.unreachable("away"))
      case "w": result = .success(.notAsked)
      default: continue
      }
      lease.answered(result, by: member, server: "\(member)", numbers: 0..<0)
    }
    return (lease.outcome, lease.takeRepairs())
  }

  @Test(
    "A lease is extended by a majority, lost when none can be its own, and otherwise unknown",
    arguments: [
      ("hhh", "oo ", Extended.Outcome.ours, []), ("hhh", "oog", .ours, [2]),
      ("hhh", "goo", .ours, [0]), ("hhh", "o  ", nil, []), ("hhh", "g  ", nil, []),
      ("hhh", "gg ", .deleted, []), ("hhh", "gt ", .taken(by: "other"), []),
      ("hhh", "ogt", .taken(by: "other"), []), ("hhh", "ff ", .unconfirmed, []),
      ("hhh", "off", .unconfirmed, []), ("hhh", "ogf", .unconfirmed, []),
      ("hhh", "gf ", nil, []), ("hhh", "gfg", .deleted, []),
      // What the servers said before counts, too.
      ("hhr", "oo ", .ours, [2]), ("hhr", "g  ", .deleted, []), ("hhr", "of ", .unconfirmed, []),
      // A key that is there may be about to be undone.
      ("hhs", "oo ", .ours, [2]), ("hss", "o  ", .deleted, []), ("hha", "of ", .unconfirmed, []),
      ("haa", "o  ", .unconfirmed, []), ("hhh", "w  ", .notAsked, []),
    ] as [(String, String, Extended.Outcome?, [Int])])
  func extensions(
    standings: String, answers: String, expected: Extended.Outcome?, repairs: [Int]
  ) {
    let (outcome, members) = outcome(standings, answers)
    #expect(outcome == expected)
    #expect(members == repairs)
  }
}
