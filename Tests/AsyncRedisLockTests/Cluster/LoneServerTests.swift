import PrivateRedis
import Testing

@testable import AsyncRedisLock

/// A proxy before several shards looks like one server that is no cluster.
@Suite("A server that is no cluster", .redisServer(listen: .tcp), .timeLimit(.minutes(1)))
struct LoneServerTests {
  @Test("By the URL of a cluster, it keeps a lock, its queue and its counter in one slot")
  func oneSlot() async throws {
    let server = RedisServer.current
    let url = server.url.replacing("redis://", with: "redis+cluster://")
    let (holder, waiter) = (try await Locker(url: url), try await Locker(url: url))
    let (key, options) = (uniqueKey(), LockOptions(timeout: .seconds(30), ttl: .seconds(30)))
    let lock = try await holder.acquire(key, options: options)
    async let next = waiter.acquire(key, options: options)
    await eventually("the other locker stands in the queue") {
      try await holder.inspect(key)?.waiterCount == 1
    }
    let keys = (try RedisClient(server)("KEYS", "*").array ?? []).compactMap(\.string)
    // The lock, the counter, the queue and its entries.
    #expect(keys.count >= 4, "\(keys)")
    #expect(Set(keys.map(HashSlot.slot)).count == 1, "\(keys)")
    #expect(try await lock.release() == .released)
    #expect(try await next.fencingToken ?? 0 > lock.fencingToken ?? .max)
    #expect(try await next.release() == .released)
    for locker in [holder, waiter] { await locker.close() }
  }
}
