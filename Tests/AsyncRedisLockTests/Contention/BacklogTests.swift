import FaultProxy
import PrivateRedis
import Testing

@testable import AsyncRedisLock

/// On a slow link, what is sent first must not delay what keeps locks alive.
@Suite("A backlog of requests", .redisServer(), .timeLimit(.minutes(1)))
struct BacklogTests {
  @Test("While a crowd of requests is unanswered, little of it is sent, and extensions are")
  func extensionBesideCrowd() async throws {
    let proxy = try FaultProxy(to: .current)
    defer { proxy.stop() }
    let locker = try await Locker(url: "\(proxy.url)?operation_timeout=20")
    let held = try await locker.acquire(
      uniqueKey(), options: LockOptions(ttl: .seconds(20), extend: nil))
    // From now on, the server knows the script.
    try await held.extend(by: .seconds(20))
    let (sent, submitted) = (Shared(0), Shared(0))
    proxy.setScript { message in
      guard message.direction == .requests else { return .delay(.seconds(3)) }
      sent.change { $0 += message.bytes.count }
      return .forward
    }
    let crowd = 6000
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<crowd {
        group.addTask {
          submitted.change { $0 += 1 }
          let lock = try await locker.acquire(
            "crowd-\(number)", options: LockOptions(timeout: .seconds(60), ttl: .seconds(300)))
          _ = try await lock.detach()
        }
      }
      await eventually("all have begun") { submitted.value == crowd }
      let extending = Task { try await held.extend(by: .seconds(90)) }
      let client = RedisClient(.current)
      await eventually("the extension has reached the server") {
        try client("PTTL", held.keys[0]).integer ?? 0 > 30_000
      }
      #expect(sent.value < 400 * 1024, "far less than all of them")
      proxy.setScript(nil)
      try await extending.value
      try await group.waitForAll()
    }
    #expect(sent.value > 0)
    #expect(try await held.release() == .released)
    await locker.close()
  }
}
