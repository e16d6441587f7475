import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("Adopting locks of a quorum", .timeLimit(.minutes(2)))
struct QuorumAdoptingTests {
  private let quorum = StubQuorum()

  private var members: [QuorumMemberStub] { quorum.members }
  private var holders: [String?] { quorum.holders }

  /// Leaves a lock on all members.
  private func leave() { for member in members { member.setHolder("left", of: "key") } }

  private func expectHeld(_ acquisition: Acquisition, _ holders: [String?]) {
    guard case .held = acquisition else {
      Issue.record("\(acquisition)")
      return
    }
    #expect(self.holders == holders)
  }

  @Test("Members that refuse an adoption for the moment are asked again with the same token")
  func askedAgain() async throws {
    leave()
    for member in members[..<2] { member.mode = .loading }
    // No answer of this one comes before the refusals.
    members[2].mode = .stalled
    let claim = quorum.claim()
    let adopting = Task { try await quorum.adopt(claim, from: "left", within: .seconds(60)) }
    await eventually { members[..<2].allSatisfy { $0.requests.count >= 3 } }
    #expect(holders == ["left", "left", "left"])
    for member in members[..<2] { member.mode = .prompt }
    expectHeld(try await adopting.value, [claim.token, claim.token, "left"])
    members[2].letGo()
    await eventually("the third gives it as well") { holders[2] == claim.token }
  }

  @Test("A majority that refuses an adoption to the end leaves the lock as it was")
  func refusedToTheEnd() async throws {
    leave()
    for member in members[..<2] { member.mode = .loading }
    members[2].mode = .late
    let failure = await #expect(throws: StoreFailure.self) {
      try await quorum.adopt(quorum.claim(), from: "left", within: .milliseconds(300))
    }
    guard case .refused("LOADING", _, isTransient: true) = failure else {
      Issue.record("\(String(describing: failure))")
      return
    }
    #expect(members[0].requests.count > 1)
    members[2].letGo()
    await eventually("what was taken over late goes back") { members[2].requests.last == "restore" }
    #expect(holders == ["left", "left", "left"])
  }

  @Test("An adoption waits for a member that is connecting if another one refuses")
  func connecting() async throws {
    leave()
    members[1].mode = .full
    members[2].mode = .stalled
    members[2].isConnected = false
    let claim = quorum.claim()
    let adopting = Task { try await quorum.adopt(claim, from: "left") }
    await eventually { members[2].waitingCount == 1 && holders[0] == claim.token }
    members[2].letGo()
    expectHeld(try await adopting.value, [claim.token, "left", claim.token])
  }

  @Test("A lock is not called lost while a member that may have it refuses for the moment")
  func notLost() async throws {
    leave()
    members[1].setHolder("other", of: "key")
    members[2].mode = .loading
    let (first, second) = (quorum.claim(), quorum.claim())
    let failure = await #expect(throws: StoreFailure.self) {
      try await quorum.adopt(first, from: "left", within: .milliseconds(100))
    }
    #expect(failure?.isRefusal == true, "\(String(describing: failure))")
    await eventually { holders == ["left", "other", "left"] }
    members[2].mode = .prompt
    expectHeld(
      try await quorum.adopt(second, from: "left"), [second.token, "other", second.token])
    guard case .contended = try await quorum.adopt(first, from: "left") else {
      Issue.record("a majority has it no more")
      return
    }
  }

  @Test("The release of an adopted lock also frees it where it was never adopted")
  func freed() async throws {
    leave()
    members[2].mode = .loading
    let claim = quorum.claim()
    expectHeld(try await quorum.adopt(claim, from: "left"), [claim.token, claim.token, "left"])
    #expect(try await quorum.release(claim).get().outcome == .released)
    await eventually { holders == [nil, nil, nil] }
  }

  // MARK: With servers

  /// Takes a lock on all servers, and leaves it.
  private func leave(
    on servers: QuorumServers, by locker: Locker, for ttl: Duration
  ) async throws -> DetachedLock {
    let lock = try await locker.acquire(
      uniqueKey(), options: LockOptions(timeout: .seconds(20), ttl: ttl, extend: nil))
    await eventually("all servers have it") {
      try servers.values(of: lock.keys[0]).allSatisfy { $0 == lock.token }
    }
    return try await lock.detach()
  }

  @Test("A lock is taken over when a majority that has refused for the moment does so no more")
  func refusedForAMoment() async throws {
    let servers = try QuorumServers(3)
    defer { servers.stop() }
    let locker = try await servers.locker { $0.operationTimeout = .seconds(60) }
    let detached = try await leave(on: servers, by: locker, for: .seconds(60))
    func requireReplicas(_ count: Int) throws {
      for server in servers.servers[..<2] {
        try RedisClient(server)("CONFIG", "SET", "min-replicas-to-write", "\(count)")
      }
    }
    try requireReplicas(1)
    // No answer of it comes before the refusals.
    servers.servers[2].pause()
    async let adopting = locker.adopt(
      detached, options: LockOptions(ttl: .seconds(60), extend: nil))
    await eventually("they are asked again and again") {
      try servers.servers[..<2].allSatisfy { try $0.errors("NOREPLICAS") >= 3 }
    }
    try requireReplicas(0)
    let adopted = try await adopting
    #expect(adopted.isHeld)
    servers.servers[2].resume()
    await eventually("the third one gives it as well") {
      try servers.values(of: adopted.keys[0]).allSatisfy { $0 == adopted.token }
    }
    #expect(try await adopted.release() == .released)
    await servers.expectFree(adopted.keys[0])
    await locker.close()
  }

  @Test(
    "A server that gives a lock back whose adoption was refused keeps it for as long as the others",
    arguments: [(60, 20), (20, 60)] as [(left: Int, adopted: Int)], [false, true])
  func restored(ttl: (left: Int, adopted: Int), isLate: Bool) async throws {
    let servers = try QuorumServers(3)
    defer { servers.stop() }
    let locker = try await servers.locker { $0.operationTimeout = .seconds(20) }
    let detached = try await leave(on: servers, by: locker, for: .seconds(ttl.left))
    let clients = servers.servers.map { RedisClient($0) }
    for client in clients[..<2] { try client("CONFIG", "SET", "maxmemory", "1") }
    try clients[2]("CONFIG", "RESETSTAT")
    if isLate { servers.servers[2].pause() }
    let options = LockOptions(ttl: .seconds(ttl.adopted), extend: nil)
    let attempt = await Attempt { try await locker.adopt(detached, options: options) }
    #expect(attempt.error?.code == .refused, "\(attempt)")
    servers.servers[2].resume()
    let key = detached.keys[0]
    await eventually("the third one has taken it over, and given it back") {
      try clients[2]("INFO", "commandstats").string?.contains("cmdstat_pttl:calls=2,") == true
        && servers.values(of: key).allSatisfy { $0 == detached.token }
    }
    let times = try clients.map { try $0("PTTL", key).integer ?? -1 }
    #expect(abs(times[2] - times[0]) < 5000, "\(times)")
    for client in clients[..<2] { try client("CONFIG", "SET", "maxmemory", "0") }
    let adopted = try await locker.adopt(detached, options: options)
    #expect(try await adopted.release() == .released)
    await servers.expectFree(key)
    await locker.close()
  }
}
