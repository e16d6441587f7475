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

  /// A batch of two leases, the second of which has lost its key on a member, and its outcome.
  private struct Batch {
    let time = HandFiredTime()
    let quorum: StubQuorum
    let leases: [Lease]
    let ends: [Instant]
    let result = Shared<Result<Extended, StoreFailure>?>(nil)

    init() async throws {
      quorum = StubQuorum(clock: LockClock(time))
      let claims = [quorum.claim("one"), quorum.claim("two")]
      for claim in claims { _ = try await quorum.acquire(claim) }
      await eventually { [quorum] in
        claims.allSatisfy { claim in
          quorum.holders(of: claim.keys[0]) == [String?](repeating: claim.token, count: 3)
        }
      }
      quorum.members[1].setHolder(nil, of: "two")
      leases = claims.map { [quorum] in quorum.lease($0) }
      ends = leases.map(\.state.validUntil)
      // So that an extension is later than any instant of the machine's.
      time.present.value = time.now + .seconds(3600)
    }

    /// Extends the leases by a deadline, as if they ended in 4 s.
    func extend(by deadline: Instant) {
      quorum.store.extend(
        leases.map { [end = time.now + .seconds(4)] lease in
          Extension(lease, ttl: lease.claim.ttl, leaseEnd: end)
        }, numbers: 0, by: deadline
      ) { [result] in result.value = $0 }
    }
  }

  @Test("A batch waits for a silent server while its leases have time, and a later answer counts")
  func patience() async throws {
    let batch = try await Batch()
    let (time, members) = (batch.time, batch.quorum.members)
    members[2].mode = .stalled
    let (begin, deadline) = (time.now, time.now + .seconds(5))
    batch.extend(by: deadline)
    #expect(members[2].deadline == deadline, "an answer has as much time as with one lease")
    #expect(batch.result.value == nil)
    #expect(time.alarm.value == begin + .seconds(2))
    try time.fireNext()
    let outcomes = try #require(batch.result.value).get().outcomes
    #expect(outcomes == [.ours, .unconfirmed], "the first must not end because of the second")
    #expect(batch.leases[1].state.validUntil == batch.ends[1])

    // Asked again meanwhile.
    batch.extend(by: deadline)
    members[2].letGo()
    #expect(batch.leases[1].state.validUntil > batch.ends[1])
  }

  @Test("While no lease of a batch has an outcome, it waits for as long as one lease by itself")
  func slow() async throws {
    let batch = try await Batch()
    let (time, members) = (batch.time, batch.quorum.members)
    for member in members { member.mode = .stalled }
    batch.extend(by: time.now + .seconds(5))
    #expect(time.alarm.value == nil)
    time.present.value = time.now + .milliseconds(3900)
    members[0].letGo()
    #expect(batch.result.value == nil)
    members[2].letGo()
    #expect(try #require(batch.result.value).get().outcomes == [.ours, .ours])
  }

  // MARK: Members without the key

  @Test("A member that had its reasons to say no gets the key with the next extension")
  func absent() async throws {
    members[0].restart()
    members[1].setHolder("other", of: "key")
    let claim = quorum.claim()
    guard case .contended = try await quorum.acquire(quorum.claim()) else {
      Issue.record("one server is no majority")
      return
    }
    members[1].setHolder(nil, of: "key")
    _ = try await quorum.acquire(claim)
    await eventually { quorum.holders == [nil, claim.token, claim.token] }
    #expect(try await quorum.extend([claim]).get().outcomes == [.ours])
    await eventually("also while the server gets no new locks") { quorum.holders[0] == claim.token }
    await eventually { members[0].requests.last == "raise" }
    members[1].setHolder(nil, of: "key")
    members[1].mode = .failing
    #expect(try await quorum.extend([claim]).get().outcomes == [.ours], "it counts")
    #expect(try await quorum.release(claim).get().outcome == .released)
  }

  @Test("A member that a lock could not be taken from is asked again, unless an undo may come")
  func undoing() async throws {
    members[2].mode = .refusingKeys
    let claim = quorum.claim()
    _ = try await quorum.acquire(claim)
    members[2].mode = .prompt
    #expect(try await quorum.extend([claim]).get().outcomes == [.ours])
    #expect(members[2].requests == ["acquire"])
    members[2].endUndos()
    #expect(try await quorum.extend([claim]).get().outcomes == [.ours])
    await eventually { quorum.holders[2] == claim.token }
    #expect(try await quorum.release(claim).get().outcome == .released)
    await eventually { quorum.holders == [nil, nil, nil] }
  }

  @Test("A lock that is left while it is put on a member gets there, and is put on no other")
  func left() async throws {
    members[1].setHolder("other", of: "key")
    let claim = quorum.claim()
    _ = try await quorum.acquire(claim)
    members[1].setHolder(nil, of: "key")
    members[1].mode = .stalled
    #expect(try await quorum.extend([claim]).get().outcomes == [.ours])
    await eventually { members[1].waitingCount == 1 }
    quorum.store.stopListening(for: claim)
    members[1].letGo()
    #expect(quorum.holders == [String?](repeating: claim.token, count: 3))
    members[1].setHolder(nil, of: "key")
    #expect(try await quorum.extend([claim]).get().outcomes == [.notAsked])
  }

  @Test(
    "A member that was away when a lock was taken is connected again for it, one request at a time")
  func away() async throws {
    members[2].isConnected = false
    members[2].mode = .refusingKeys
    let claim = quorum.claim()
    _ = try await quorum.acquire(claim)
    members[2].endUndos()
    for _ in 0..<3 {
      #expect(try await quorum.extend([claim]).get().outcomes == [.ours])
      #expect(members[2].requests == ["acquire", "reconnect"])
    }
    members[2].letGo()
    #expect(try await quorum.extend([claim]).get().outcomes == [.ours])
    await eventually { quorum.holders[2] == claim.token }
    members[2].setHolder(nil, of: "key")
    members[2].isConnected = false
    #expect(try await quorum.extend([claim]).get().outcomes == [.ours])
    await eventually("it has ended, so another may be sent") {
      members[2].requests.count { $0 == "reconnect" } == 2
    }
    #expect(try await quorum.release(claim).get().outcome == .released)
  }

  @Test(
    "A server that turns out to have been restarted keeps the key, but has no part in the taking")
  func kept() async throws {
    members[2].mode = .stalled
    let claim = quorum.claim()
    let task = Task { try await quorum.acquire(claim) }
    await eventually { members[2].waitingCount == 1 }
    members[2].restart()
    members[2].letGo()
    _ = try await task.value
    await eventually { quorum.holders == [String?](repeating: claim.token, count: 3) }
    members[0].mode = .stalled
    #expect(try await quorum.extend([claim]).get().outcomes == [.ours], "it counts from now on")
    members[0].letGo()
  }
}
