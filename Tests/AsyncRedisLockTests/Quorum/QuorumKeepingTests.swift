import Logging
import Testing

@testable import AsyncRedisLock

@Suite("Keeping the locks of a quorum", .timeLimit(.minutes(2)))
struct QuorumKeepingTests {
  private let quorum = StubQuorum()

  private var members: [QuorumMemberStub] { quorum.members }

  // MARK: Batches

  @Test("A lock that needs a silent server does not keep the others from being extended")
  func routes() async throws {
    let (whole, bare) = (quorum.claim("whole"), quorum.claim("bare"))
    members[0].setHolder("other", of: "bare")
    for claim in [whole, bare] { _ = try await quorum.acquire(claim) }
    await eventually { quorum.holders(of: "whole") == [String?](repeating: whole.token, count: 3) }
    await eventually { quorum.store.route(of: bare) == 0b110 }
    #expect(quorum.store.route(of: whole) == 0b111)

    members[2].mode = .stalled
    let extender = Extender(
      store: quorum.store, operationTimeout: .seconds(5),
      reporter: Reporter(logger: Logger(label: "extender"), label: nil))
    let leases = [whole, bare].map { quorum.lease($0, extend: .milliseconds(50)) }
    let ends = leases.map(\.state.validUntil)
    for lease in leases { #expect(extender.add(lease)) }
    await eventually("a majority has extended it") { leases[0].state.validUntil > ends[0] }
    #expect(leases[1].state.validUntil == ends[1])
    members[2].letGo()
    await eventually { leases[1].state.validUntil > ends[1] }
    for lease in extender.close() { _ = lease.beginRelease(isAwaited: false) }
  }

  @Test("The outcome of a batch comes before its first lease ends")
  func patience() async throws {
    let claims = [quorum.claim("one"), quorum.claim("two")]
    for claim in claims { _ = try await quorum.acquire(claim) }
    let end = Instant.now + .seconds(2)
    _ = await quorum.extend(claims, end: end)
    let deadline = try #require(members[0].deadline)
    #expect(deadline < end - .milliseconds(900))
    // A lease by itself may use all the time that its caller has.
    _ = await quorum.extend([claims[0]], end: end)
    #expect(try #require(members[0].deadline) > end)
  }
}
