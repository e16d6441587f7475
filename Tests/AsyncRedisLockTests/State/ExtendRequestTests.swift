import FaultProxy
import Testing

@testable import AsyncRedisLock

@Suite("A request for extensions", .timeLimit(.minutes(2)))
struct ExtendRequestTests {
  private let fences = FenceCounter()

  private func makeLease(_ token: String, keys: [String]) -> Lease {
    let state = LeaseState(ttl: .seconds(3), extend: .seconds(1), sentAt: .now)
    return Lease(
      Claim(keys: keys, token: token, ttl: .seconds(3)), numbers: 0..<0, state: state,
      minHold: .zero, clock: .system, origin: .asked, onLoss: { _ in })
  }

  private func makeQuestion(_ leases: [Lease], numbers: Int = 0) -> ExtendRequest {
    ExtendRequest(
      leases.map { Extension($0, ttl: .seconds(3), leaseEnd: .now) }, numbers: numbers,
      names: ServerKeys(prefix: "test:"))
  }

  /// The words behind the script's name; nil if nothing is sent.
  private func words(of question: ExtendRequest) -> [String]? {
    var buffer = CommandBuffer()
    guard question.encode(into: &buffer, question: 7, bySource: false) else { return nil }
    return Array(
      FakeCommand(unsafe buffer.withBytes(from: 0) { unsafe Array($0) }).words.dropFirst(2))
  }

  private func answer(_ replies: Reply...) -> Request.Answer {
    Request.Answer(replies: Replies(replies), sentAt: .now)
  }

  @Test(
    "A request for extensions leaves out ended leases, and assigns each answer to its lease"
  )
  func ended() throws {
    let leases = [
      makeLease("a", keys: ["one"]), makeLease("b", keys: ["two", "three"]),
      makeLease("c", keys: ["four"]),
    ]
    let question = makeQuestion(leases)
    _ = leases[1].beginRelease(isAwaited: true)
    #expect(words(of: question) == ["2", "one", "four", "a", "3000", "1", "c", "3000", "1", "7"])
    let extended = try question.read(answer(.array([.integer(0), .integer(1)])), fences: fences)
      .get()
    #expect(extended.outcomes == [.deleted, .notAsked, .ours])
    let other = try question.read(answer(.array([.string("x"), .integer(1)])), fences: fences).get()
    #expect(other.outcomes == [.taken(by: "x"), .notAsked, .ours])
    #expect(throws: StoreFailure.self, "an answer for those that were left out, too") {
      try question.read(answer(.array([.integer(1), .integer(1), .integer(1)])), fences: fences)
        .get()
    }
  }

  @Test("A request for extensions covers all leases that continue, also when it is sent again")
  func all() throws {
    let leases = [makeLease("a", keys: ["one"]), makeLease("b", keys: ["two", "three"])]
    let question = makeQuestion(leases)
    #expect(
      words(of: question)
        == ["3", "one", "two", "three", "a", "3000", "1", "b", "3000", "2", "7"])
    _ = leases[0].lose(.deleted)
    #expect(words(of: question) == ["2", "two", "three", "b", "3000", "2", "7"])
    let extended = try question.read(answer(.array([.integer(1)])), fences: fences).get()
    #expect(extended.outcomes == [.notAsked, .ours])
  }

  @Test(
    "A request for extensions cuts keys that last far longer to the longest time of their lease")
  func cut() throws {
    let lease = makeLease("a", keys: ["one"])
    lease.extended(by: .seconds(3), sentAt: .now, remaining: .seconds(600))
    #expect(words(of: makeQuestion([lease])) == ["1", "one", "a", "3000 3000", "1", "7"])
  }

  @Test("If no lease continues, a request for extensions is not sent and draws no numbers")
  func nothing() throws {
    let lease = makeLease("a", keys: ["one"])
    let question = makeQuestion([lease], numbers: 4)
    #expect(words(of: question) == ["2", "one", "test:fence", "a", "3000", "1", "4", "7"])
    #expect(lease.detach())
    #expect(words(of: question) == nil)
    let extended = try question.read(answer(), fences: fences).get()
    #expect(extended.outcomes == [.notAsked])
    #expect(extended.numbers.isEmpty)
  }
}
