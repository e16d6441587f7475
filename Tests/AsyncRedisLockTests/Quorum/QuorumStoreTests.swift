import Testing

@testable import AsyncRedisLock

@Suite("The store of a quorum", .timeLimit(.minutes(2)))
struct QuorumStoreTests {
  private let quorum = StubQuorum()

  private var members: [QuorumMemberStub] { quorum.members }
  private var store: QuorumStore { quorum.store }
  private var holders: [String?] { quorum.holders }

  private func claim() -> Claim { quorum.claim() }

  private func acquire(_ claim: Claim) async throws -> Acquisition {
    try await quorum.acquire(claim)
  }

  private func release(_ claim: Claim) async -> Result<ReleaseReport, StoreFailure> {
    await quorum.release(claim)
  }

  private func extend(_ claim: Claim) async -> Result<Extended, StoreFailure> {
    await quorum.extend([claim])
  }

  @Test("A straggler that takes the key after all counts for the release, and gives it back")
  func straggler() async throws {
    members[2].mode = .stalled
    let claim = claim()
    guard case .held(_, let numbers) = try await acquire(claim) else {
      Issue.record("two servers are a majority")
      return
    }
    #expect(numbers == 101..<102)
    #expect(members[0].counter > 101 && members[1].counter > 101)
    members[2].letGo()
    await eventually("the third has it, too") {
      holders == [claim.token, claim.token, claim.token]
    }
    #expect(try await release(claim).get().outcome == .released)
    #expect(holders == [nil, nil, nil])
  }

  @Test("A straggler that is released before it has the key never gets it")
  func overtaken() async throws {
    members[2].mode = .stalled
    let claim = claim()
    _ = try await acquire(claim)
    #expect(try await release(claim).get().outcome == .released)
    members[2].letGo()
    await store.close().value
    #expect(holders == [nil, nil, nil])
  }

  @Test(
    "A straggler whose lock was left to another process gets the key, also while the locker is closed"
  )
  func left() async throws {
    members[2].mode = .stalled
    let claim = claim()
    _ = try await acquire(claim)
    await eventually { members[2].waitingCount == 1 }
    store.stopListening(for: claim)
    let closed = store.close()
    #expect(members[..<2].allSatisfy { $0.requests.last == "stop" })
    #expect(members[2].requests == ["acquire"], "its request would fail, and be undone")
    members[2].letGo()
    await closed.value
    #expect(members[2].requests == ["acquire", "stop"])
    #expect(holders == [claim.token, claim.token, claim.token])
  }

  @Test("A key that arrives just when its lock is released is given back")
  func late() async throws {
    members[2].mode = .late
    let claim = claim()
    _ = try await acquire(claim)
    await eventually { members[2].waitingCount == 1 }
    #expect(try await release(claim).get().outcome == .released)
    #expect(!members[2].requests.contains("release"))
    members[2].letGo()
    await eventually { members[2].requests.last == "release" }
    #expect(holders == [nil, nil, nil])
  }

  @Test("An attempt without a majority gives back what it got, also from those that answer late")
  func undone() async throws {
    for member in members[..<2] {
      member.setHolder("other", of: "key")
      member.mode = .stalled
    }
    let first = claim()
    let task = Task { try await acquire(first) }
    await eventually { holders[2] == first.token }
    for member in members[..<2] { member.letGo() }
    let contended = try await task.value
    guard case .contended(let state) = contended else {
      Issue.record("\(contended)")
      return
    }
    #expect(state.holder == "other")
    await eventually { holders == ["other", "other", nil] }
    #expect(members[0].requests == ["acquire"], "it has said no, so there is nothing to give back")

    members[0].setHolder(nil, of: "key")
    members[0].mode = .stalled
    members[2].mode = .failing
    await #expect(throws: StoreFailure.self) {
      for member in members[1...] { member.mode = .failing }
      _ = try await acquire(claim())
    }
    members[0].letGo()
    await store.close().value
    #expect(holders == [nil, "other", nil])
  }

  @Test("A cancelled attempt gives back what it got")
  func cancelled() async throws {
    for member in members[1...] { member.mode = .stalled }
    let claim = claim()
    let task = Task { try await acquire(claim) }
    await eventually { holders[0] == claim.token && members[2].waitingCount == 1 }
    task.cancel()
    await #expect(throws: StoreFailure.cancelled) { try await task.value }
    await eventually { holders[0] == nil }
    for member in members { member.letGo() }
    await store.close().value
    #expect(holders == [nil, nil, nil])
  }

  @Test("A server that was restarted lately is not asked, and if that shows late, its yes is none")
  func restarted() async throws {
    members[2].restart()
    let first = claim()
    guard case .held = try await acquire(first) else {
      Issue.record("two servers are a majority")
      return
    }
    #expect(members[2].requests.isEmpty)
    _ = await release(first)

    members[1].mode = .stalled
    let second = claim()
    let task = Task { try await acquire(second) }
    await eventually { members[1].waitingCount == 1 && holders[0] == second.token }
    members[1].restart()
    members[1].letGo()
    let failure = await #expect(throws: StoreFailure.self) { try await task.value }
    guard case .unreachable(let text) = failure else {
      Issue.record("\(String(describing: failure))")
      return
    }
    #expect(text.hasPrefix("1 of 3 servers answered, 2 needed: server 1: the server was started"))
    await eventually { holders == [nil, nil, nil] }
  }

  @Test("A member that has lost the key gets it back, unless a request failed there")
  func repaired() async throws {
    let claim = claim()
    _ = try await acquire(claim)
    await eventually { holders == [claim.token, claim.token, claim.token] }
    members[1].setHolder(nil, of: "key")
    #expect(try await extend(claim).get().outcomes == [.ours])
    await eventually("it is put back") { holders[1] == claim.token }
    await eventually("its counter is raised") { members[1].requests.last == "raise" }

    // The next repair fails, so that its undo may come at any time.
    members[1].setHolder(nil, of: "key")
    members[1].mode = .refusingKeys
    #expect(try await extend(claim).get().outcomes == [.ours])
    await eventually { members[1].requests.last == "acquire" }
    members[1].mode = .prompt
    let count = members[1].requests.count
    #expect(try await extend(claim).get().outcomes == [.ours])
    #expect(members[1].requests.count == count, "it is asked for nothing now")
    members[1].endUndos()
    #expect(try await extend(claim).get().outcomes == [.ours])
    await eventually("the undo is over") { holders[1] == claim.token }
    #expect(try await release(claim).get().outcome == .released)
    await eventually { holders == [nil, nil, nil] }
  }

  @Test(
    "A member where another had the key gets it as soon as that is gone, and counts from then on")
  func completed() async throws {
    members[2].setHolder("dead", of: "key")
    let claim = claim()
    _ = try await acquire(claim)
    #expect(try await extend(claim).get().outcomes == [.ours])
    #expect(holders == [claim.token, claim.token, "dead"])
    members[2].setHolder(nil, of: "key")
    #expect(try await extend(claim).get().outcomes == [.ours])
    await eventually("it has the key, too") { holders[2] == claim.token }
    members[0].setHolder(nil, of: "key")
    #expect(try await extend(claim).get().outcomes == [.ours], "two of three have it")
    #expect(try await release(claim).get().outcome == .released)
    await eventually { holders == [nil, nil, nil] }
  }

  @Test("A lock that a restarted server has forgotten is not lost, since no other can have it")
  func forgotten() async throws {
    members[2].setHolder("other", of: "key")
    let claim = claim()
    _ = try await acquire(claim)
    members[0].restart()
    for _ in 0..<2 {
      let extended = await extend(claim)
      #expect(throws: StoreFailure.self, "one server is no majority") { try extended.get() }
    }
    #expect(holders == [nil, claim.token, "other"])
    #expect(try await release(claim).get().outcome == .released)
    await eventually { holders == [nil, nil, "other"] }
  }

  @Test(
    "What another's attempt has left on a restarted server is no loss, since it counts for none")
  func forgottenAndAsked() async throws {
    members[2].setHolder("other", of: "key")
    let claim = claim()
    _ = try await acquire(claim)
    members[0].restart()
    members[0].setHolder("attempt", of: "key")
    let extended = await extend(claim)
    #expect(throws: StoreFailure.self, "one server is no majority") { try extended.get() }
    members[2].setHolder(nil, of: "key")
    #expect(holders == ["attempt", claim.token, nil])
    #expect(try await release(claim).get().outcome == .released)
    await eventually { holders == ["attempt", nil, nil] }
  }

  @Test("A server that turns out to have been restarted lately does not deny a lock, either")
  func restartedAndAsked() async throws {
    members[0].setHolder("attempt", of: "key")
    members[1].setHolder("attempt", of: "key")
    for member in members[..<2] { member.mode = .stalled }
    let task = Task { try await acquire(claim()) }
    await eventually { members[..<2].allSatisfy { $0.waitingCount == 1 } }
    for member in members[..<2] {
      member.restart()
      member.setHolder("attempt", of: "key")
      member.letGo()
    }
    let failure = await #expect(throws: StoreFailure.self) { try await task.value }
    guard case .unreachable = failure else {
      Issue.record("\(String(describing: failure))")
      return
    }
  }

  @Test("The holder learns that its lock is lost before others can get what is left of it")
  func lossFirst() async throws {
    members[2].setHolder("other", of: "key")
    let claim = claim()
    _ = try await acquire(claim)
    members[0].setHolder("other", of: "key")
    let lease = Lease(
      claim, numbers: 0..<0,
      state: LeaseState(ttl: claim.ttl, extend: nil, sentAt: .now), minHold: .zero, clock: .system,
      origin: .asked, onLoss: { _ in })
    let left = Shared<String?>(nil)
    store.extend(
      [Extension(lease, ttl: claim.ttl, leaseEnd: .now)], numbers: 0, by: .now + .seconds(5)
    ) { [members] _ in left.value = members[1].holders["key"] }
    #expect(left.value == claim.token)
    await eventually("what is left is given back") { holders == ["other", nil, "other"] }
  }

  @Test("Where a request has failed, nothing that the server says makes it one of the majority")
  func spoiled() async throws {
    members[1].mode = .failing
    let claim = claim()
    _ = try await acquire(claim)
    members[1].mode = .prompt
    // As if the request had arrived after all: its undo is yet to come.
    members[1].setHolder(claim.token, of: "key")
    members[2].mode = .failing
    let extended = await extend(claim)
    #expect(throws: StoreFailure.self, "one answer is no majority") { try extended.get() }
    members[2].mode = .prompt
    #expect(try await extend(claim).get().outcomes == [.ours])
    #expect(!members[1].requests.contains("extend"))
    members[2].setHolder(nil, of: "key")
    #expect(try await extend(claim).get().outcomes == [.deleted])
    await eventually("what is left is given back") { holders == [nil, claim.token, nil] }
  }

  @Test("A lock that has lost its majority is given back by the servers that still have it")
  func lost() async throws {
    let claim = claim()
    _ = try await acquire(claim)
    await eventually { holders == [claim.token, claim.token, claim.token] }
    for member in members[1...] { member.setHolder("other", of: "key") }
    #expect(try await extend(claim).get().outcomes == [.taken(by: "other")])
    await eventually { holders == [nil, "other", "other"] }
    #expect(try await extend(claim).get().outcomes == [.notAsked])
  }

  @Test("If a majority refuses an adoption, the lock stays as it was left, for the next attempt")
  func refusedAdoption() async throws {
    for member in members { member.setHolder("left", of: "key") }
    for member in members[1...] { member.mode = .full }
    let first = claim()
    let failure = await #expect(throws: StoreFailure.self) {
      try await quorum.adopt(first, from: "left")
    }
    guard case .refused("OOM", _, isTransient: false) = failure else {
      Issue.record("\(String(describing: failure))")
      return
    }
    await eventually("what was taken over goes back") { holders == ["left", "left", "left"] }
    // The answer of this one comes after the outcome.
    members[0].mode = .stalled
    await #expect(throws: StoreFailure.self) { try await quorum.adopt(claim(), from: "left") }
    #expect(members[0].waitingCount == 1)
    members[0].letGo()
    await eventually("it goes back there, too") {
      members[0].requests == ["adopt", "restore", "adopt", "restore"]
        && holders == ["left", "left", "left"]
    }
    for member in members { member.mode = .prompt }
    let second = claim()
    guard case .held = try await quorum.adopt(second, from: "left") else {
      Issue.record("a majority still has it")
      return
    }
    await eventually { holders == [second.token, second.token, second.token] }
    // An outage leaves in doubt what was done.
    for member in members[1...] { member.mode = .refusingKeys }
    await #expect(throws: StoreFailure.self) { try await quorum.adopt(claim(), from: second.token) }
    await eventually { holders == [nil, nil, nil] }
  }

  @Test("An inspection tells the holder that a majority knows, or may know")
  func inspected() async throws {
    func holder() async throws -> String? {
      try await store.inspect("key", by: .now + .seconds(5))?.state.holder
    }
    #expect(try await holder() == nil)
    members[0].setHolder("one", of: "key")
    #expect(try await holder() == nil, "one server makes no lock")
    members[1].setHolder("one", of: "key")
    #expect(try await holder() == "one")
    members[2].setHolder("two", of: "key")
    #expect(try await holder() == "one")
    // A server that was restarted lately does not say that there is no holder, whatever it has now.
    members[2].setHolder(nil, of: "key")
    members[0].restart()
    #expect(try await holder() == "one")
    members[0].setHolder("attempt", of: "key")
    #expect(try await holder() == "one")
    members[1].setHolder(nil, of: "key")
    #expect(try await holder() == nil)
    // Whether one was there depends on which servers answer first.
    _ = try await store.forceRelease("key", by: .now + .seconds(5))
    await eventually { holders == [nil, nil, nil] }
  }
}
