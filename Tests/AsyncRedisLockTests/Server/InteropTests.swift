import AsyncRedisLock
import PrivateRedis
import Testing

/// Uses other clients, which lock by `SET NX PX` and compare-and-delete scripts.
@Suite("A lock among other clients", .timeLimit(.minutes(2)), .redisServer())
struct InteropTests {
  let compareAndDelete = """
    if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end
    """

  @Test("For other clients, a lock is one string with its ttl in milliseconds")
  func format() async throws {
    let (locker, client, key) = (try await Locker(on: .current), RedisClient(.current), uniqueKey())
    let lock = try await locker.acquire(key, options: LockOptions(ttl: .milliseconds(2345)))
    #expect(try client("TYPE", key).string == "string")
    #expect(try client("GET", key).string == lock.token)
    let remaining = try #require(try client("PTTL", key).integer)
    #expect(remaining > 1300 && remaining <= 2345)
    #expect(try client("SET", key, "theirs", "NX", "PX", "1000") == .null)
    #expect(try client("EVAL", compareAndDelete, "1", key, "theirs").integer == 0)
    #expect(lock.isHeld)
    #expect(try await lock.release() == .released)
    #expect(try client("SET", key, "theirs", "NX", "PX", "1000").string == "OK")
  }

  @Test("An acquisition waits for another client's key, and takes it when it is released")
  func excluded() async throws {
    let (locker, client, key) = (try await Locker(on: .current), RedisClient(.current), uniqueKey())
    #expect(try client("SET", key, "theirs", "NX", "PX", "60000").string == "OK")
    #expect(try await locker.acquireIfAvailable(key) == nil)
    do {
      _ = try await locker.acquire(key, options: LockOptions(timeout: .milliseconds(200)))
      Issue.record("a foreign lock was ignored")
    } catch let error as LockError {
      #expect(error.code == .timeout)
      #expect(error.holder?.value == "theirs")
    }
    async let waiting = locker.acquire(key, options: LockOptions(timeout: .seconds(10)))
    #expect(try client("EVAL", compareAndDelete, "1", key, "theirs").integer == 1)
    let released = ContinuousClock.now
    let lock = try await waiting
    #expect(ContinuousClock.now - released < .milliseconds(500), "not noticed within retry")
    #expect(try client("GET", key).string == lock.token)
  }

  @Test("If another client lets its key expire, an acquisition takes it soon afterwards")
  func expiry() async throws {
    let (locker, client, key) = (try await Locker(on: .current), RedisClient(.current), uniqueKey())
    _ = try client("SET", key, "theirs", "NX", "PX", "300")
    let start = ContinuousClock.now
    let lock = try await locker.acquire(
      key, options: LockOptions(retry: .seconds(60), timeout: .seconds(10)))
    let waited = ContinuousClock.now - start
    #expect(waited >= .milliseconds(250) && waited < .milliseconds(1000))
    #expect(lock.isHeld)
  }

  @Test(
    "Keys with any bytes are the same keys for other clients",
    arguments: ["a\0b", "line\nfeed\r\n", "schlüssel 🔑", "%s %n"])
  func anyBytes(name: String) async throws {
    let (locker, client) = (try await Locker(on: .current), RedisClient(.current))
    let key = name + uniqueKey()
    let lock = try await locker.acquire(key)
    #expect(try client("GET", key).string == lock.token)
    #expect(try await locker.inspect(key)?.holder.value == lock.token)
    #expect(try await lock.release() == .released)
  }

  @Test("A lock can have a key of half a megabyte")
  func longKey() async throws {
    let locker = try await Locker(on: .current)
    let key = String(repeating: "k", count: 512 << 10)
    let lock = try await locker.acquire(key, options: LockOptions(timeout: .seconds(5)))
    #expect(try await locker.acquireIfAvailable(key) == nil)
    #expect(try await lock.release() == .released)
  }

  @Test("A huge value of another client does not harm a waiter")
  func hugeValue() async throws {
    let (locker, client, key) = (try await Locker(on: .current), RedisClient(.current), uniqueKey())
    _ = try client("SET", key, String(repeating: "x", count: 8 << 20))
    #expect(try await locker.acquireIfAvailable(key) == nil)
    let status = try #require(try await locker.inspect(key))
    #expect(status.holder.value.utf8.count == 512)
    #expect(status.remaining == nil)
    #expect(try await locker.forceRelease(key) != nil)
    #expect(try await locker.acquireIfAvailable(key)?.release() == .released)
  }
}
