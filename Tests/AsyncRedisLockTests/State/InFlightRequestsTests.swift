import Synchronization
import Testing

@testable import AsyncRedisLock

@Suite("Requests in flight", .timeLimit(.minutes(2)))
struct InFlightRequestsTests {
  let start = Instant.now

  typealias Outcome = Recorder<Result<Request.Answer, TransportError>>

  func makeRequest(
    _ outcome: Outcome = Outcome(), commands: Int = 1, deadline: Duration = .seconds(1),
    isClaim: Bool = false, undo: Request.Undo? = nil
  ) -> Request {
    let request = Request(
      Array(repeating: Command("PING"), count: commands), deadline: start + deadline, undo: undo,
      isClaim: isClaim
    ) { result in outcome.record(result) }
    return request
  }

  @Test("Requests in flight get the replies in order, several if they have several commands")
  func order() throws {
    var pipeline = InFlightRequests(operationTimeout: .seconds(1))
    let first = makeRequest(commands: 2)
    let second = makeRequest()
    pipeline.append(first, sentAt: start)
    pipeline.append(second, sentAt: start)
    #expect(try pipeline.accept(.integer(1))?.request == nil)
    let answered = try #require(try pipeline.accept(.integer(2)))
    #expect(answered.request === first)
    #expect(answered.answer.replies == [.integer(1), .integer(2)])
    #expect(try pipeline.accept(.integer(3))?.request === second)
    #expect(pipeline.isEmpty)
  }

  @Test("Overdue requests keep their slot, so that no other request gets their reply")
  func abandoned() throws {
    var pipeline = InFlightRequests(operationTimeout: .seconds(9))
    let hasty = makeRequest(deadline: .milliseconds(10))
    let patient = makeRequest()
    for request in [hasty, patient] {
      #expect(request.beginSending())
      pipeline.append(request, sentAt: start)
    }
    let overdue = pipeline.overdue(at: start + .milliseconds(10))
    #expect(overdue.count == 1 && overdue.first === hasty)
    hasty.fail(.timedOut) { _ in }
    #expect(pipeline.overdue(at: start + .milliseconds(20)).isEmpty)
    #expect(try pipeline.accept(.integer(1))?.request === hasty)
    #expect(try pipeline.accept(.integer(2))?.request === patient)
  }

  @Test("An answer is expected as soon as the last one came, if a crowd waits")
  func crowd() throws {
    var pipeline = InFlightRequests(operationTimeout: .seconds(1))
    func answer(after time: Duration) throws {
      for _ in 0..<2 { pipeline.append(makeRequest(), sentAt: start, byteCount: 1 << 20) }
      pipeline.heard(at: start + time)
      _ = try pipeline.accept(.integer(1))
      pipeline.note(pending: .others)
    }
    var expected: Duration? { pipeline.crowd(at: start).map { $0.earliestAnswer - start } }
    #expect(expected == nil)
    try answer(after: .milliseconds(200))
    #expect(expected == .milliseconds(200) && pipeline.crowd(at: start)?.kinds == .others)
    try answer(after: .milliseconds(900))
    #expect(expected == .milliseconds(500), "at most half")
    pipeline.note(pending: [])
    #expect(expected == nil, "no crowd")
    pipeline.note(pending: .others)
    while !pipeline.isEmpty { _ = try pipeline.accept(.integer(1)) }
    #expect(expected == nil, "nothing else will tell how long it takes")
  }

  private final class OneCommand: CommandEncoder {
    let commandCount = 1
    let runsScript = false

    func encode(into buffer: inout CommandBuffer, question: UInt32, bySource: Bool) -> Bool { true }
  }

  @Test("The bytes that are unanswered are counted, of extensions apart")
  func unanswered() throws {
    var requests = InFlightRequests(operationTimeout: .seconds(9))
    requests.append(makeRequest(), sentAt: start, byteCount: 10)
    let extending = Request(
      OneCommand(), deadline: start + .seconds(9), leaseEnd: start + .seconds(9),
      completion: { _ in })
    requests.append(extending, sentAt: start, byteCount: 200)
    requests.append(makeRequest(), sentAt: start, byteCount: 3000)
    #expect(requests.unanswered == (200, 3010))
    _ = try requests.accept(.integer(1))
    _ = try requests.accept(.integer(1))
    #expect(requests.unanswered == (0, 3000))
    _ = requests.removeAll()
    #expect(requests.unanswered == (0, 0))
  }

  @Test("A silent server is noticed, and requests to a slow one are not given up")
  func silence() throws {
    var pipeline = InFlightRequests(operationTimeout: .seconds(1))
    #expect(!pipeline.isStuck(at: start + .seconds(100)))
    pipeline.append(makeRequest(deadline: .seconds(60)), sentAt: start)
    pipeline.append(makeRequest(deadline: .seconds(60)), sentAt: start)
    #expect(!pipeline.isStuck(at: start + .milliseconds(999)))
    pipeline.heard(at: start + .milliseconds(900))
    _ = try pipeline.accept(.integer(1))
    #expect(!pipeline.isStuck(at: start + .milliseconds(1800)))
    #expect(pipeline.isStuck(at: start + .milliseconds(1900)))
  }

  @Test("Requests to a server that sends its reply byte by byte are given up in the end")
  func drip() throws {
    var pipeline = InFlightRequests(operationTimeout: .seconds(1))
    pipeline.append(makeRequest(deadline: .seconds(60)), sentAt: start)
    pipeline.append(makeRequest(deadline: .seconds(60)), sentAt: start)
    let pieces = stride(from: 100, through: 3900, by: 100)
    for time in pieces { pipeline.heard(at: start + .milliseconds(time)) }
    #expect(!pipeline.isStuck(at: start + .milliseconds(3999)))
    #expect(pipeline.isStuck(at: start + .seconds(4)))
    _ = try pipeline.accept(.integer(1))
    #expect(!pipeline.isStuck(at: start + .milliseconds(4800)), "a reply is complete")
  }

  @Test(
    "Requests that an error has ended are remembered until the number of an answer shows its owner"
  )
  func doubtful() throws {
    var pipeline = InFlightRequests(operationTimeout: .seconds(1))
    let loading = Reply.error(ServerError(message: "LOADING Redis is loading"))
    let claim = makeRequest(isClaim: true)
    pipeline.append(claim, sentAt: start, question: 1)
    _ = try pipeline.accept(loading)
    // It continues the same work.
    pipeline.append(makeRequest(), sentAt: start, question: 2)
    _ = try pipeline.accept(loading)
    // It has failed for good, and was undone at once.
    pipeline.append(makeRequest(isClaim: true), sentAt: start, question: 3)
    _ = try pipeline.accept(.error(ServerError(message: "ERR")))
    // Its answer tells nothing about those before.
    pipeline.append(makeRequest(), sentAt: start)
    _ = try pipeline.accept(.status("OK"))
    var given = pipeline
    #expect(given.removeDoubtful().map { $0 === claim } == [true])
    #expect(given.removeDoubtful().isEmpty)

    pipeline.append(makeRequest(), sentAt: start, question: 4)
    #expect(throws: TransportError.self) { try pipeline.accept(.integer(3)) }
    #expect(pipeline.removeDoubtful().count == 1)
    pipeline = InFlightRequests(operationTimeout: .seconds(1))
    // Its script is sent again, and its token is still in use.
    pipeline.append(claim, sentAt: start, question: 5)
    _ = try pipeline.accept(.error(ServerError(message: "NOSCRIPT No matching script.")))
    #expect(pipeline.removeDoubtful().isEmpty)

    // A refusal without a number may be another claim's; one with a number is its own.
    pipeline.append(claim, sentAt: start)
    _ = try pipeline.accept(.null)
    #expect(pipeline.removeDoubtful().count == 1)
    pipeline.append(claim, sentAt: start, question: 6)
    _ = try pipeline.accept(.array([.integer(6), .null]))
    #expect(pipeline.removeDoubtful().isEmpty)

    var next = InFlightRequests(operationTimeout: .seconds(1))
    next.append(claim, sentAt: start, question: 6)
    _ = try next.accept(loading)
    next.append(makeRequest(), sentAt: start, question: 7)
    _ = try next.accept(.integer(7))
    #expect(next.removeDoubtful().isEmpty)
  }

  @Test("Answers that may belong to other requests call for one number, when all of them are in")
  func inquiry() throws {
    var requests = InFlightRequests(operationTimeout: .seconds(1))
    let readOnly = Reply.error(ServerError(message: "READONLY a replica"))
    #expect(!requests.isInDoubt)
    requests.append(makeRequest(isClaim: true), sentAt: start, question: 1)
    requests.append(makeRequest(isClaim: true), sentAt: start, question: 2)
    _ = try requests.accept(readOnly)
    #expect(!requests.isInDoubt, "an answer is due")
    _ = try requests.accept(readOnly)
    #expect(requests.isInDoubt)
    requests.noteInquiry()
    requests.append(makeRequest(), sentAt: start, question: 3)
    #expect(!requests.isInDoubt)
    var refused = requests
    _ = try refused.accept(readOnly)
    #expect(!refused.isInDoubt, "asked once")
    let claims = refused.removeDoubtful()
    #expect(claims.count == 2 && claims.allSatisfy { !$0.hasDoneNothing })
    _ = try requests.accept(.integer(3))
    #expect(requests.removeDoubtful().isEmpty)
    _ = requests.removeAll()
    #expect(!requests.hasInquired)
  }

  @Test("Requests in flight do not accept an unsolicited reply")
  func unasked() {
    var pipeline = InFlightRequests(operationTimeout: .seconds(1))
    #expect(throws: TransportError.protocolViolation("an unexpected reply")) {
      _ = try pipeline.accept(.integer(1))
    }
  }

  @Test(
    "Requests that were sent, and only those, are undone before the caller learns of the failure")
  func undo() {
    for wasSent in [true, false] {
      let outcome = Outcome()
      let undoing = makeRequest()
      let request = makeRequest(outcome) { _ in undoing }
      if wasSent { #expect(request.beginSending()) }
      var undone = 0
      request.fail(.cancelled) { undo in
        undone += 1
        #expect(undo === undoing)
        #expect(outcome.values.isEmpty)
      }
      #expect(undone == (wasSent ? 1 : 0))
      #expect(throws: TransportError.cancelled) { try outcome.values[0].get() }
    }
  }

  @Test("Requests that give back continue in any case, sent or not")
  func undoOfRepeatable() {
    let undoing = makeRequest()
    let request = Request(
      [Command("PING")], deadline: start, kind: .release, undo: { _ in undoing }
    ) { _ in }
    var undone = 0
    request.fail(.timedOut) { _ in undone += 1 }
    #expect(undone == 1)
  }

  @Test("Requests end only once, whichever side ends them first")
  func endOnce() {
    let outcome = Outcome()
    let request = makeRequest(outcome)
    request.fail(.cancelled) { _ in }
    request.succeed(Request.Answer(replies: [], sentAt: start))
    #expect(outcome.values.count == 1)
    #expect(throws: TransportError.self) { try outcome.values[0].get() }
    #expect(!request.beginSending())
  }

  @Test("Clean-ups know whether the request that they undo was sent on a connection that broke")
  func repetitionOfOrigin() throws {
    for breaks in [true, false] {
      let outcome = Outcome()
      let origin = makeRequest { origin in
        Request([Command("PING")], deadline: start, kind: .cleanUp, undoing: origin) {
          outcome.record($0)
        }
      }
      #expect(origin.beginSending())
      let undo = try #require(origin.makeUndo())
      // Its caller may have given up before the break of the connection is noticed.
      if breaks { origin.noteRepetition() }
      undo.succeed(Request.Answer(replies: [], sentAt: start))
      #expect(try outcome.values[0].get().isOfRepetition == breaks)
    }
  }

  /// The words that a request sends.
  private func words(of request: Request) -> [String] {
    var buffer = CommandBuffer()
    _ = request.encode(into: &buffer, question: 0)
    return unsafe buffer.withBytes(from: 0) { bytes in
      // Every second line is the type and the length of the next, the first those of the command.
      unsafe String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").dropFirst()
        .enumerated().filter { !$0.offset.isMultiple(of: 2) }.map { String($0.element) }
    }
  }

  @Test("Requests are sent with the script's source once, and never after they are given up")
  func bySource() {
    let command = Command(["EVALSHA", "digest", "1", "key"], scriptSource: "return 1")
    let request = Request([command], deadline: start + .seconds(1)) { _ in }
    #expect(request.beginSending())
    #expect(words(of: request) == command.arguments + ["0"])
    #expect(request.beginRepeatingBySource())
    #expect(words(of: request) == ["EVAL", "return 1", "1", "key", "0"])
    #expect(request.beginSending())
    #expect(!request.beginRepeatingBySource())

    let abandoned = Request([command], deadline: start + .seconds(1)) { _ in }
    #expect(abandoned.beginSending())
    abandoned.fail(.cancelled) { _ in }
    #expect(!abandoned.beginRepeatingBySource())
  }

  @Test("If requests can make their command anew, they do so each time they are sent")
  func made() {
    let left = Locked([Command(["EVALSHA", "digest", "1", "key"], scriptSource: "return 1")])
    let request = Request(deadline: start + .seconds(1)) {
      left.withLock { $0.popLast() }
    } completion: { _ in
    }
    #expect(request.commandCount == 1)
    #expect(left.withLock { $0.count } == 1, "the command is made before it is sent")
    left.withLock { $0 += $0 }
    #expect(words(of: request) == ["EVALSHA", "digest", "1", "key", "0"])
    #expect(request.beginSending())
    #expect(request.beginRepeatingBySource())
    #expect(words(of: request) == ["EVAL", "return 1", "1", "key", "0"])
    #expect(words(of: request).isEmpty)
  }
}
