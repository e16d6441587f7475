import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

/// The program may block all threads that run tasks, for any length of time.
@Suite("A quorum while no task can run", .timeLimit(.minutes(1)))
struct QuorumBlockedPoolTests {
  private let members = (0..<3).map { QuorumMemberStub("server \($0)") }
  private let store: QuorumStore

  init() {
    store = QuorumStore(
      members, restartDelay: .zero, operationTimeout: .seconds(5), lockerID: "0123456789abcdef"
    ) { _ in "rl1s:1" }
  }

  private var holders: [String?] { members.map { $0.holders["key"] } }

  private func acquire() async throws -> Claim {
    let claim = Claim(keys: ["key"], token: "rl1s:1", ttl: .seconds(10))
    _ = try await store.acquire(claim, numbers: 1, by: .now + .seconds(5))
    return claim
  }

  /// Runs a body on a thread of its own while all threads that run tasks are blocked.
  private func whileBlocked(_ body: @escaping @Sendable () -> Void) async {
    let gate = Gate()
    let threads = ProcessInfo.processInfo.activeProcessorCount
    Thread.detachNewThread {
      while gate.count < threads { Thread.sleep(forTimeInterval: 0.001) }
      body()
      gate.open()
    }
    await withTaskGroup { group in
      for _ in 0..<threads { group.addTask(priority: .high) { gate.pass() } }
    }
  }

  /// Waits on a thread until a condition is true; returns false after five seconds.
  private static func waits(until condition: () -> Bool) -> Bool {
    let end = ContinuousClock.now + .seconds(5)
    while !condition() {
      guard ContinuousClock.now < end else { return false }
      Thread.sleep(forTimeInterval: 0.001)
    }
    return true
  }

  @Test("A straggler that takes the key of an ended lock gives it back while no task can run")
  func straggler() async throws {
    members[2].mode = .late
    let claim = try await acquire()
    store.giveUp(claim)
    #expect(holders == [nil, nil, nil])
    let isFree = Shared(false)
    await whileBlocked { [self] in
      members[2].letGo()
      isFree.value = Self.waits { members[2].requests.last == "release" && holders[2] == nil }
    }
    #expect(isFree.value)
    await store.close().value
  }

  @Test("A server that has lost a key gets it back while no task can run")
  func repair() async throws {
    let claim = try await acquire()
    members[0].setHolder(nil, of: "key")
    let lease = Lease(
      claim, numbers: 0..<0,
      state: LeaseState(ttl: claim.ttl, extend: nil, sentAt: .now), minHold: .zero, clock: .system,
      origin: .asked, onLoss: { _ in })
    let isBack = Shared(false)
    await whileBlocked { [self] in
      store.extend(
        [Extension(lease, ttl: claim.ttl, leaseEnd: .now)], numbers: 0, by: .now + .seconds(5)
      ) { _ in }
      isBack.value = Self.waits { holders[0] == claim.token }
    }
    #expect(isBack.value)
    store.giveUp(claim)
    await store.close().value
  }

  @Test("A lock goes back to an emptied server while no task can run, and its extensions go on")
  func realServers() async throws {
    let quorum = try QuorumServers()
    defer { quorum.stop() }
    let locker = try await quorum.locker()
    let key = uniqueKey()
    let lock = try await locker.acquire(
      key, options: LockOptions(ttl: .seconds(3), extend: .milliseconds(200)))
    await eventually("all servers have it") {
      try quorum.values(of: key).allSatisfy { $0 == lock.token }
    }
    let (isBack, isExtended, later) = (Shared(false), Shared(false), Instant.now + .seconds(4))
    await whileBlocked {
      _ = try? RedisClient(quorum.servers[1])("DEL", key)
      isBack.value = Self.waits { (try? quorum.values(of: key)[1]) == lock.token }
      isExtended.value = Self.waits { lock.lease.state.validUntil > later }
    }
    #expect(isBack.value && isExtended.value && lock.isHeld)
    try await lock.release()
    await quorum.expectFree(key)
    await locker.close()
  }
}
