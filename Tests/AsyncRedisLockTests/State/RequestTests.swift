import Testing

@testable import AsyncRedisLock

@Suite("A request", .timeLimit(.minutes(2)))
struct RequestTests {
  @Test("A request is completed once, even if its reply comes late or its caller gives up late")
  func completedOnce() {
    let answer = Request.Answer(replies: [.status("PONG")], sentAt: .now)
    for comesLate in [true, false] {
      let (outcomes, undone) = (Recorder<Bool>(), Recorder<Request>())
      let request = Request(
        [Command("PING")], deadline: .now + .seconds(1),
        undo: { _ in Request([Command("PING")], deadline: .now) { _ in } }
      ) { result in outcomes.record((try? result.get()) != nil) }
      #expect(request.beginSending())
      for isReply in [!comesLate, comesLate] {
        if isReply { request.succeed(answer) } else { request.fail(.timedOut, send: undone.record) }
      }
      #expect(outcomes.values == [!comesLate])
      #expect(undone.values.count == (comesLate ? 1 : 0))
    }
  }
}
