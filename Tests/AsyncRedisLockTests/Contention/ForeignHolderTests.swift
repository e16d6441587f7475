import AsyncRedisLock
import Foundation
import PrivateRedis
import Testing

/// Uses clients that lock by `SET NX PX` and do not know the queue.
@Suite("Waiters beside clients that do not queue", .timeLimit(.minutes(2)), .redisServer())
struct ForeignHolderTests {
  private let client = RedisClient(.current)

  /// Options of a waiter that polls each 300 ms.
  private let options = LockOptions(
    retry: .milliseconds(300), timeout: .seconds(20), ttl: .seconds(30), extend: .seconds(10))

  @Test(
    "Waiters notice within their retry time that a foreign key was deleted, and keep their order")
  func deleted() async throws {
    let key = uniqueKey()
    let lockers = try await makeLockers(3)
    _ = try client("SET", key, "theirs", "NX", "PX", "60000")
    var tasks: [Task<Lock, any Error>] = []
    for locker in lockers { tasks.append(try await queueUp(locker, for: key, options: options)) }
    #expect(try client("DEL", key).integer == 1)
    let first = try await expectPromptly(tasks[0], within: .milliseconds(1000))
    #expect(try RedisServer.current.waitingLabels(of: key) == ["locker-1", "locker-2"])
    #expect(try client("GET", key).string == first.token)
    // From here on, the key goes from one waiter to the next.
    try await first.release()
    for task in tasks.dropFirst() { try await expectPromptly(task).release() }
    await expectNothingLeft(key)
  }

  @Test("Waiters for a key that never expires do not poll too often")
  func neverExpires() async throws {
    let key = uniqueKey()
    let locker = try await Locker(on: .current)
    _ = try client("SET", key, "for ever")
    let waiting = try await queueUp(locker, for: key, options: options)
    let calls = try RedisServer.current.calls("evalsha", "eval")
    // At most one request each 150 ms.
    try await Task.sleep(for: .milliseconds(900))
    let asked = try RedisServer.current.calls("evalsha", "eval") - calls
    #expect((1...8).contains(asked), "\(asked) questions")
    _ = try client("DEL", key)
    try await expectPromptly(waiting).release()
    await expectNothingLeft(key)
  }

  @Test("A waiter that times out leaves the foreign key alone")
  func timeout() async throws {
    let key = uniqueKey()
    let locker = try await Locker(on: .current)
    _ = try client("SET", key, "theirs", "PX", "60000")
    var options = options
    options.timeout = .milliseconds(500)
    let attempt = await Attempt { try await locker.acquire(key, options: options) }
    #expect(attempt.error?.code == .timeout)
    #expect(attempt.error?.holder?.value == "theirs")
    #expect(try client("GET", key).string == "theirs")
    await eventually("the queue is empty") { try RedisServer.current.queue(of: key).isEmpty }
  }

  @Test(
    "Waiters and clients that do not queue all get their turns, one at a time",
    .timeLimit(.minutes(1)))
  func mixed() async throws {
    let key = uniqueKey()
    let inside = Shared(0)
    let overlaps = Shared(0)
    let done = Recorder<String>()
    @Sendable func section(_ name: String) async throws {
      if inside.exchange(1) != 0 { overlaps.value += 1 }
      try await Task.sleep(for: .milliseconds(1))
      if inside.exchange(0) != 1 { overlaps.value += 1 }
      done.record(name)
    }
    let start = ContinuousClock.now
    let lockers = try await makeLockers(3)
    let server = RedisServer.current
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<3 {
        group.addTask {
          let client = RedisClient(server)
          for round in 0..<20 {
            let token = "foreign-\(index)-\(round)"
            while try client("SET", key, token, "NX", "PX", "10000") == .null {
              try await Task.sleep(for: .milliseconds(Int.random(in: 1...5)))
            }
            try await section("foreign")
            let deleted = try client("EVAL", Self.compareAndDelete, "1", key, token)
            #expect(deleted.integer == 1)
            // Pauses like a client that has other work, too.
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...5)))
          }
        }
        group.addTask {
          let options = LockOptions(
            retry: .milliseconds(10), timeout: .seconds(30), ttl: .seconds(10), extend: .seconds(3))
          for _ in 0..<20 {
            let lock = try await lockers[index].acquire(key, options: options)
            try await section("ours")
            #expect(lock.isHeld)
            #expect(try await lock.release() == .released)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(overlaps.value == 0)
    #expect(done.values.count { $0 == "ours" } == 60)
    #expect(done.values.count { $0 == "foreign" } == 60)
    #expect(ContinuousClock.now - start < .seconds(15))
    await expectNothingLeft(key)
  }

  private static let compareAndDelete = """
    if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end
    """
}
