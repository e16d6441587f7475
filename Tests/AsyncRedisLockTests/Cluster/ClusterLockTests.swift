import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

/// A cluster that all tests of a suite share, since starting one takes a second.
enum SharedCluster {
  static let all = try? PrivateCluster(nodeTimeout: .seconds(10))
}

@Suite("Locks in a cluster", .timeLimit(.minutes(3)), .serialized)
struct ClusterLockTests {
  let cluster: PrivateCluster

  init() async throws {
    cluster = try await onThread { try #require(SharedCluster.all) }
  }

  /// Keys whose slots are spread over all masters, with braces where they do harm.
  private static let names = ["a", "b", "c", "a}b", "{}x", "x{}{y}", "{tag}z", "a{b", "}"]

  private func keys() -> [String] {
    Self.names.map { name in
      // Braces have to stay where they are.
      let unique = uniqueKey("k").filter { $0 != "{" && $0 != "}" }
      return name + unique
    }
  }

  @Test(
    "In a cluster, locks on keys of all kinds are taken, handed on in order, and leave nothing behind"
  )
  func locks() async throws {
    let first = try await Locker(url: cluster.url())
    let second = try await Locker(url: cluster.url([2]))
    for key in keys() {
      let lock = try await first.acquire(key, options: .patient)
      #expect(try await second.acquireIfAvailable(key) == nil, "\(key)")
      let owner = try #require(try cluster.owner(of: key))
      #expect(try cluster.client(owner)("GET", key).string == lock.token, "\(key)")
      async let next = second.acquire(key, options: .patient)
      await eventually("the other locker waits for \(key)") {
        try await first.inspect(key)?.waiterCount == 1
      }
      #expect(try await lock.release() == .released)
      // Long before a poll would find the key free.
      let start = ContinuousClock.now
      let handed = try await next
      #expect(ContinuousClock.now - start < .inTime, "\(key)")
      #expect(
        try #require(handed.fencingToken) > (try #require(lock.fencingToken)), "\(key)")
      #expect(try await handed.release() == .released)
    }
    try expectOrder()
    for locker in [first, second] { await locker.close() }
    try expectNothingHeld()
  }

  @Test(
    "A locker finds out by itself that its server is a node of a cluster, and leaves no counter of its own"
  )
  func discovered() async throws {
    for number in 0..<6 {
      let locker = try await Locker(url: cluster.url([number], scheme: "redis"))
      for key in keys() {
        let lock = try await locker.acquire(key)
        #expect(lock.fencingToken != nil)
        #expect(try await lock.release() == .released)
      }
      await locker.close()
    }
    let lazy = try Locker(connectingLazilyTo: cluster.url([1], scheme: "redis"))
    #expect(try await lazy.inspect(uniqueKey()) == nil)
    let key = uniqueKey()
    #expect(try await lazy.withLockIfAvailable(key) { $0.isHeld } == true)
    await lazy.close()
    try expectOrder()
    #expect(try cluster.keys().allSatisfy { $0.key != "redis-lock:fence" })
    try expectNothingHeld()
  }

  @Test(
    "Keys of several slots in one lock are refused before anything is sent, with a hash tag that would do"
  )
  func severalSlots() async throws {
    let locker = try await Locker(url: cluster.url())
    let error = await Attempt {
      try await locker.acquire(
        "account:7", "account:8", options: LockOptions(timeout: .seconds(20)))
    }.error
    #expect(error?.code == .refused)
    #expect(error?.serverCode == "CROSSSLOT")
    #expect(error?.isRetryable == false)
    #expect(error?.message.contains("\"{account}:account:7\" and \"{account}:account:8\"") == true)
    #expect(HashSlot.slot(of: "{account}:account:7") == HashSlot.slot(of: "{account}:account:8"))
    let tag = uniqueKey("k")
    let both = try await locker.acquire("{\(tag)}:a", "{\(tag)}:b")
    #expect(both.keys.count == 2)
    #expect(try await both.release() == .released)
    await locker.close()
    #expect(try cluster.keys().allSatisfy { !$0.key.hasPrefix("account:") })
  }

  @Test("Acknowledgements are refused with a cluster, also one that is found")
  func refused() async throws {
    let query = "?replica_acknowledgements=1"
    await expectError(.invalidURL) { try await Locker(url: cluster.url() + query) }
    await expectError(.refused) {
      try await Locker(url: cluster.url([0], scheme: "redis") + query)
    }
  }

  @Test("Extensions in a cluster keep locks in many slots for longer than their ttl")
  func extensions() async throws {
    let locker = try await Locker(url: cluster.url())
    let options = LockOptions(ttl: .milliseconds(600), extend: .milliseconds(150))
    var locks: [Lock] = []
    for number in 0..<200 {
      locks.append(try await locker.acquire(uniqueKey("ext-\(number)"), options: options))
    }
    let end = ContinuousClock.now + .seconds(1)
    await eventually { ContinuousClock.now > end }
    #expect(locks.allSatisfy { $0.isHeld })
    try await locks[0].extend(by: .seconds(5))
    for lock in locks { #expect(try await lock.release() == .released) }
    await locker.close()
    try expectNothingHeld()
  }

  /// Expects that no helper key is anywhere but in its lock's slot.
  private func expectOrder() throws {
    for (name, server) in try cluster.keys() where name.hasPrefix("redis-lock:") {
      let slot = HashSlot.slot(of: name)
      #expect(try cluster.owner(of: slot) == server, "\(name)")
    }
  }

  /// Expects that counters are all that is left.
  private func expectNothingHeld() throws {
    let left = try cluster.keys().map(\.key).filter {
      !$0.hasPrefix("redis-lock:fence:{")
        && !$0.hasPrefix("redis-lock:queue:") && !$0.hasPrefix("redis-lock:entries:")
    }
    #expect(left.isEmpty, "\(left)")
  }
}
