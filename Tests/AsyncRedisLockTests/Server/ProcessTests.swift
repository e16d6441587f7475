import AsyncRedisLock
import PrivateRedis
import Testing

@Suite("A lock of another process", .timeLimit(.minutes(5)), .redisServer())
struct ProcessTests {
  @Test("A lock of another process is kept while it runs, and ends with its ttl when it is killed")
  func killed() async throws {
    let (locker, key) = (try await Locker(on: .current), uniqueKey())
    let holder = try LockTakerProcess(.current, "hold", key: key, ttl: 600, extend: 100)
    await eventually { holder.hasSaid("held") }
    await expectError(.timeout) { try await locker.acquire(key) }
    #expect(try await locker.inspect(key)?.holder.processID != nil)
    holder.kill()
    let start = ContinuousClock.now
    let lock = try await locker.acquire(key, options: LockOptions(timeout: .seconds(5)))
    #expect(ContinuousClock.now - start < .milliseconds(900))
    #expect(lock.isHeld)
  }

  @Test("A lock is extended while every thread of its process's cooperative pool is blocked")
  func blockedPool() async throws {
    let key = uniqueKey()
    let holder = try LockTakerProcess(.current, "block-pool", key: key, ttl: 500, extend: 150)
    await eventually { holder.hasSaid("held") }
    await holder.expectKept(key)
  }
}
