import Testing

@testable import AsyncRedisLock

@Suite("Requests that wait for a connection", .timeLimit(.minutes(1)))
struct PendingRequestsTests {
  private let start = Instant.now

  /// Encodes nothing: these requests are never sent.
  private final class NoCommands: CommandEncoder {
    let commandCount = 0
    let runsScript = false

    func encode(into buffer: inout CommandBuffer, question: UInt32, bySource: Bool) -> Bool {
      false
    }
  }

  private func makeRequest(
    leaseEnd: Duration? = nil, deadline: Duration = .seconds(1), kind: Request.Kind = .call
  ) -> Request {
    Request(
      NoCommands(), deadline: start + deadline, kind: kind, leaseEnd: leaseEnd.map { start + $0 },
      completion: { _ in })
  }

  @Test("Extensions go ahead of a crowd, and releases go next; each kind keeps its order")
  func order() {
    var pending = PendingRequests()
    let crowd = (0..<3).map { _ in makeRequest() }
    let extensions = (1...3).map { makeRequest(leaseEnd: .seconds($0)) }
    let releases = (0..<3).map { _ in makeRequest(kind: .release) }
    pending.append(contentsOf: [crowd[1], releases[1], extensions[1], crowd[2], releases[2]])
    #expect(pending.earliestLeaseEnd == start + .seconds(2))
    pending.append(contentsOf: [extensions[2]])
    // They have been sent before, to a connection that has ended.
    pending.prepend(contentsOf: [crowd[0], extensions[0], releases[0]])
    #expect(pending.earliestLeaseEnd == start + .seconds(1))
    let expected = extensions + releases + crowd
    for request in expected { #expect(pending.popFirst() === request) }
    #expect(pending.isEmpty && pending.nextDeadline == nil && pending.earliestLeaseEnd == nil)
  }

  @Test("A stream of extensions keeps no other request waiting for ever")
  func storm() {
    var pending = PendingRequests()
    let other = makeRequest()
    pending.append(contentsOf: [other] + (0..<100).map { _ in makeRequest(leaseEnd: .seconds(9)) })
    var count = 0
    while let next = pending.popFirst(), next !== other { count += 1 }
    #expect(count == 32)
    pending.append(contentsOf: [other])
    // If too many extensions are unanswered, others go on, and the reverse.
    #expect(pending.popFirst(of: .others) === other)
    #expect(!pending.hasNext(of: .others) && pending.popFirst(of: .others) == nil)
    pending.append(contentsOf: [other])
    while let next = pending.popFirst(of: .extensions) { #expect(next !== other) }
    #expect(!pending.hasNext(of: .extensions) && pending.hasNext(of: .all))
    #expect(pending.popFirst() === other)
  }

  @Test("Calls that would be answered too late let others go ahead, and fail at their deadlines")
  func tooLate() {
    var pending = PendingRequests()
    let late = (1...3).map { makeRequest(deadline: .milliseconds(10 * $0)) }
    // The next three are sent in any case.
    let extending = makeRequest(leaseEnd: .seconds(9), deadline: .milliseconds(10))
    let release = makeRequest(deadline: .milliseconds(10), kind: .release)
    let cleanUp = makeRequest(deadline: .milliseconds(10), kind: .cleanUp)
    let early = makeRequest(deadline: .milliseconds(31))
    pending.append(contentsOf: late + [cleanUp, early, extending, release])
    let crowd = PendingRequests.Crowd(kinds: .others, earliestAnswer: start + .milliseconds(31))
    for expected in [extending, release, cleanUp, early] {
      #expect(pending.popFirst(beside: crowd) === expected)
    }
    #expect(pending.popFirst(beside: crowd) == nil)
    #expect(pending.popFirst() == nil && !pending.hasNext(of: .all) && !pending.isEmpty)
    #expect(pending.nextDeadline == start + .milliseconds(10))
    #expect(pending.removeOverdue(at: start + .milliseconds(20)).count == 2)
    #expect(pending.removeAll { _ in true }.count == 1 && pending.isEmpty)
    // A crowd of extensions delays itself.
    let next = makeRequest(leaseEnd: .seconds(9), deadline: .milliseconds(31))
    pending.append(contentsOf: [extending, next])
    let extensions = PendingRequests.Crowd(kinds: .all, earliestAnswer: crowd.earliestAnswer)
    #expect(pending.popFirst(beside: extensions) === next)
    #expect(pending.popFirst(beside: extensions) == nil)
  }

  @Test("Requests of both kinds are taken out at their deadlines")
  func overdue() {
    var pending = PendingRequests()
    let patient = [makeRequest(), makeRequest(leaseEnd: .seconds(9))]
    let hasty = [
      makeRequest(deadline: .milliseconds(20)),
      makeRequest(leaseEnd: .seconds(9), deadline: .milliseconds(10)),
    ]
    pending.append(contentsOf: patient + hasty)
    #expect(pending.nextDeadline == start + .milliseconds(10))
    #expect(pending.removeOverdue(at: start + .milliseconds(9)).isEmpty)
    let first = pending.removeOverdue(at: start + .milliseconds(10))
    #expect(first.count == 1 && first.first === hasty[1])
    #expect(pending.nextDeadline == start + .milliseconds(20))
    let second = pending.removeOverdue(at: start + .milliseconds(500))
    #expect(second.count == 1 && second.first === hasty[0])
    #expect(pending.nextDeadline == start + .seconds(1))
    #expect(pending.removeOverdue(at: start + .seconds(1)).count == 2)
    #expect(pending.isEmpty)
  }
}
