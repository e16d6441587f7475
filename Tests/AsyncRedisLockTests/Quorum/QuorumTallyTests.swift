import Testing

@testable import AsyncRedisLock

@Suite("The tally of a quorum", .timeLimit(.minutes(2)))
struct QuorumTallyTests {
  /// Reads answers: `y` and `n`, `f` for a failure, `.` for none yet, `-` for none that is waited for, digits for a yes
  /// of the server with that number.
  private static func tally(_ answers: String) -> QuorumTally {
    var tally = QuorumTally(connected: answers.map { $0 != "-" })
    for (member, answer) in answers.enumerated() {
      switch answer {
      case "y": tally.note(.yes(by: nil), of: member)
      case "n": tally.note(.no, of: member)
      case "f": tally.note(.failure(.unreachable("away")), of: member)
      case ".", "-": break
      default: tally.note(.yes(by: String(answer)), of: member)
      }
    }
    return tally
  }

  @Test(
    "The outcome is known as soon as no further answer can change it, and not before",
    arguments: [
      ("...", QuorumTally.Outcome.open), ("y..", .open), ("yy.", .carried), ("yn.", .open),
      ("ynn", .declined), ("nn.", .declined), ("nf.", .open), ("nfy", .declined),
      ("nff", .unanswered),
      ("ff.", .unanswered), ("yf.", .open), ("yff", .unanswered), ("fff", .unanswered),
      ("yyy..", .carried), ("yynn.", .open), ("yynnn", .declined), ("yyff.", .open),
      ("yyfff", .unanswered), ("yynff", .declined), ("nnff.", .open), ("ynff.", .open),
      ("fff..", .unanswered),
      // Disconnected servers are not waited for, unless the others are too few.
      ("y.-", .open), ("yn-", .declined), ("yf-", .unanswered), ("y--", .open), ("n--", .open),
      ("---", .open), ("yy---", .open), ("yyn--", .declined), ("yyf--", .unanswered),
      // A server that is there twice counts once.
      ("11.", .open), ("112", .carried), ("11f", .unanswered), ("11n", .declined),
      ("12.", .carried),
      ("y1.", .carried), ("1123.", .carried), ("1122.", .open),
    ])
  func outcomes(answers: String, outcome: QuorumTally.Outcome) {
    #expect(Self.tally(answers).outcome == outcome)
  }

  @Test(
    "Nothing is lost as long as those without an answer could make a majority",
    arguments: [
      ("nn.", true), ("nf.", false), ("nff", false), ("fff", false), ("ynn", true), ("ynf", false),
      ("nnn..", true), ("nnff.", false), ("nnyyf", false), ("nnnyy", true),
    ])
  func beaten(answers: String, isBeaten: Bool) {
    #expect(Self.tally(answers).isBeaten == isBeaten)
  }

  @Test(
    "Refusals that rule a majority out are the failure, whatever the others say",
    arguments: [
      ("pp.", true), ("ppf", true), ("pp-", true), ("ppn", true), ("tp.", true), ("pf.", false),
      ("pff", false), ("fff", false), ("ppp..", true), ("ppfff", false), ("pptff", true),
    ])
  func refusals(answers: String, isFinal: Bool) {
    var tally = Self.tally(answers)
    for (member, answer) in answers.enumerated() {
      switch answer {
      case "p":
        tally.note(
          .failure(.refused(code: "NOPERM", message: "no", isTransient: false)), of: member)
      case "t": tally.note(.failure(.tlsFailed("expired")), of: member)
      default: break
      }
    }
    if isFinal { #expect(tally.outcome == .unanswered) }
    let failure = tally.failure("answered", count: 0, names: answers.map { "\($0)" })
    if case .refused("NOPERM", _, isTransient: false) = failure {
      #expect(isFinal)
    } else {
      #expect(!isFinal, "\(failure)")
    }
  }

  @Test(
    "Refusals that may pass are the failure if a majority gives them, whoever has answered before",
    arguments: [
      ("ll.", true), ("ll-", true), ("yll", true), ("llf", true), ("lln", true), ("pl.", true),
      ("lf.", false), ("yfl", false), ("lll..", true), ("llf..", false), ("llfff", false),
    ])
  func passingRefusals(answers: String, isRefusal: Bool) {
    var tally = Self.tally(answers)
    for (member, answer) in answers.enumerated() where "pl".contains(answer) {
      let failure = StoreFailure.refused(
        code: "LOADING", message: "no", isTransient: answer == "l")
      tally.note(.failure(failure), of: member)
    }
    let failure = tally.failure("answered", count: 0, names: answers.map { "\($0)" })
    if case .refused("LOADING", _, isTransient: true) = failure {
      #expect(isRefusal)
    } else {
      #expect(!isRefusal, "\(failure)")
    }
  }

  @Test(
    "A failure names each server and its reason once, and keeps what all reasons have in common")
  func failures() {
    let names = ["one:1", "two:2", "three:3"]
    var tally = Self.tally("y..")
    tally.note(.failure(.unreachable("two:2: Connection refused")), of: 1)
    tally.note(.failure(.refused(code: "LOADING", message: "LOADING", isTransient: true)), of: 2)
    #expect(
      tally.failure("answered", count: tally.yesCount, names: names)
        == .unreachable(
          "1 of 3 servers answered, 2 needed: two:2: Connection refused; "
            + "three:3: the server refused: LOADING"))
    tally.note(.failure(.refused(code: "NOPERM", message: "no", isTransient: false)), of: 1)
    guard
      case .refused("NOPERM", _, isTransient: true) = tally.failure(
        "answered", count: 1, names: names)
    else {
      Issue.record("it is a refusal if all failures are")
      return
    }
    tally.note(.failure(.closed), of: 1)
    #expect(tally.failure("answered", count: 1, names: names) == .closed)
    var encrypted = Self.tally("y..")
    for member in 1...2 { encrypted.note(.failure(.tlsFailed("expired")), of: member) }
    guard case .tlsFailed = encrypted.failure("connected", count: 1, names: names) else {
      Issue.record("it is a failure of TLS if all failures are")
      return
    }
  }
}
