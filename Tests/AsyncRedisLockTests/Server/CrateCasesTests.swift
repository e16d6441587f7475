import AsyncRedisLock
import PrivateRedis
import Testing

/// Reproduces the test cases of the Rust crate async-redis-lock, for one key and for two.
@Suite("A lock, compared with the Rust crate", .timeLimit(.minutes(2)), .redisServer())
struct CrateCasesTests {
  static let keyCounts = [1, 2]

  func makeKeys(_ count: Int, _ name: String = #function) -> [String] {
    (0..<count).map { _ in uniqueKey(name) }
  }

  @Test(
    "A second acquisition times out, and succeeds after the release, as with the Rust crate",
    arguments: keyCounts)
  func exclusive(count: Int) async throws {
    let keys = makeKeys(count)
    let (first, second) = (try await Locker(), try await Locker())
    let lock = try await first.acquire(keys)
    let start = ContinuousClock.now
    await expectError(.timeout) { try await second.acquire(keys) }
    let waited = ContinuousClock.now - start
    #expect(waited >= .milliseconds(990) && waited < .milliseconds(1500))
    #expect(try await lock.release() == .released)
    let next = try await second.acquire(keys)
    #expect(next.isHeld)
    #expect(try await next.release() == .released)
  }

  @Test(
    "A lock is released when its handle is dropped, as with the Rust crate", arguments: keyCounts)
  func drop(count: Int) async throws {
    let keys = makeKeys(count)
    let locker = try await Locker()
    do {
      let lock = try await locker.acquire(keys)
      #expect(lock.isHeld)
    }
    let next = try await locker.acquire(keys, options: LockOptions(timeout: .milliseconds(500)))
    #expect(next.isHeld)
  }

  @Test(
    "A lock that is not extended expires, as with the Rust crate",
    arguments: keyCounts)
  func passive(count: Int) async throws {
    let keys = makeKeys(count)
    let locker = try await Locker()
    let lock = try await locker.acquire(
      keys, options: LockOptions(ttl: .milliseconds(500), extend: nil))
    let next = try await locker.acquire(keys)
    #expect(!lock.isHeld)
    #expect(lock.lossReason == .expired)
    #expect(next.isHeld)
    #expect(try await lock.release() == .takenByAnother)
    #expect(next.isHeld)
    #expect(try await next.release() == .released)
  }

  @Test(
    "A lock is extended automatically past its ttl, as with the Rust crate", arguments: keyCounts)
  func extended(count: Int) async throws {
    let keys = makeKeys(count)
    let locker = try await Locker()
    let lock = try await locker.acquire(
      keys, options: LockOptions(ttl: .milliseconds(600), extend: .milliseconds(200)))
    await expectError(.timeout) {
      try await locker.acquire(keys, options: LockOptions(timeout: .milliseconds(1500)))
    }
    #expect(lock.isHeld)
    #expect(try await lock.release() == .released)
    #expect(try await locker.acquireIfAvailable(keys)?.release() == .released)
  }
}

extension Locker {
  fileprivate convenience init() async throws { try await self.init(on: .current) }
}
