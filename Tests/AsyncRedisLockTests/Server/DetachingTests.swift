import FaultProxy
import Foundation
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("A lock that is left to another process", .timeLimit(.minutes(2)), .redisServer())
struct DetachingTests {
  let options = LockOptions(ttl: .milliseconds(600), extend: .milliseconds(100))

  @Test("A detached lock continues in another process, and is never free in between")
  func handedOver() async throws {
    let (first, second) = (try await Locker(on: .current), try await Locker(on: .current))
    let key = uniqueKey()
    let lock = try await first.acquire(key, options: options)
    let check = try await lock.detach()
    #expect(!lock.isHeld && lock.lossReason == nil)
    try await lock.waitUntilLost()
    #expect(try await second.acquireIfAvailable(key) == nil)

    let coded = try JSONEncoder().encode(check)
    let adopted = try await second.adopt(
      JSONDecoder().decode(DetachedLock.self, from: coded), options: options)
    #expect(adopted.isHeld && adopted.keys == lock.keys && adopted.token != lock.token)
    #expect(try #require(adopted.fencingToken) > (try #require(lock.fencingToken)))
    #expect(try await first.inspect(key)?.holder.value == adopted.token)
    // Checks that it is extended.
    try await adopted.waitUntilExtended(past: .milliseconds(600))
    #expect(try await adopted.release() == .released)
    #expect(try !RedisServer.current.hasKey(key))
  }

  @Test(
    "A detached lock leaves no listener behind, whether it was granted by a message or by a poll")
  func leavesNoListener() async throws {
    let (holder, locker) = (try await Locker(on: .current), try await Locker(on: .current))
    for _ in 0..<20 {
      let key = uniqueKey()
      let first = try await holder.acquire(key, options: .patient)
      let waiting = try await queueUp(locker, for: key)
      try await first.release()
      _ = try await waiting.value.detach()
    }
    let inbox = try #require(locker.coordinator.store as? RedisLockStore).node.grantChannel
    await eventually { inbox.listenerCount == 0 }
  }

  @Test("A detached lock stays when its handle is released or dropped, or its locker closed")
  func leftAlone() async throws {
    let key = uniqueKey()
    let options = LockOptions(ttl: .seconds(30), extend: .seconds(10))
    var locker: Locker? = try await Locker(on: .current)
    var lock = try await locker?.acquire(key, options: options)
    let check = try await lock?.detach()
    await expectError(.lost) { try await lock?.release() }
    await expectError(.lost) { try await lock?.detach() }
    await expectError(.lost) { try await lock?.extend(by: .seconds(1)) }
    lock = nil
    await locker?.close()
    locker = nil
    #expect(try RedisClient(.current)("GET", key).string == check?.token)
  }

  @Test("A detached lock can be adopted only once")
  func once() async throws {
    let locker = try await Locker(on: .current)
    let check = try await locker.acquire([uniqueKey("a"), uniqueKey("b")]).detach()
    let adopted = try await locker.adopt(check)
    let attempt = await Attempt { try await locker.adopt(check) }
    #expect(attempt.error?.code == .lost)
    #expect(attempt.error?.phase == .adopt)
    #expect(attempt.error?.holder?.value == adopted.token)
    #expect(adopted.isHeld)
  }

  @Test(
    "If a key of a detached lock is gone or taken, the lock cannot be adopted, and no key is changed"
  )
  func gone() async throws {
    let (locker, client) = (try await Locker(on: .current), RedisClient(.current))
    let keys = [uniqueKey("a"), uniqueKey("b")]
    let check = try await locker.acquire(keys).detach()
    _ = try client("DEL", keys[1])
    await expectError(.lost) { try await locker.adopt(check) }
    #expect(try client("GET", keys[0]).string == check.token)
    _ = try client("SET", keys[1], "theirs")
    await expectError(.lost) { try await locker.adopt(check) }
    #expect(try client("GET", keys[0]).string == check.token)
    #expect(try client("GET", keys[1]).string == "theirs")
  }

  @Test(
    "An adopted lock lasts on the server for as long as its holder relies on it, and no longer"
  )
  func adoptedForLess() async throws {
    let (first, second) = (try await Locker(on: .current), try await Locker(on: .current))
    let (client, key) = (RedisClient(.current), uniqueKey())
    let long = LockOptions(ttl: .seconds(120), extend: nil)
    let short = LockOptions(ttl: .seconds(3), extend: nil)
    let adopted = try await second.adopt(
      first.acquire(key, options: long).detach(), options: short)
    #expect(try #require(client("PTTL", key).integer) <= 3000, "not for the former holder's time")
    // As after setting the server's clock back: the next extension but one cuts the remaining time.
    try client("PEXPIRE", key, "600000")
    for duration in [Duration.seconds(3), .seconds(60), .seconds(90)] {
      try await adopted.extend(by: duration)
      let left = Duration.milliseconds(try #require(try client("PTTL", key).integer))
      #expect(left >= adopted.remaining, "after an extension by \(duration)")
    }
    #expect(try await adopted.release() == .released)
  }

  @Test("A detached lock that is not adopted ends with its ttl, and the next waiter gets it")
  func forgotten() async throws {
    let locker = try await Locker(on: .current)
    let key = uniqueKey()
    let lock = try await locker.acquire(key, options: options)
    let next = Task { try await locker.acquire(key, options: LockOptions(timeout: .seconds(10))) }
    _ = try await lock.detach()
    try await next.value.release()
  }

  @Test("A detached lock wakes its waiter when its new holder releases it")
  func handedOn() async throws {
    let (first, second) = (try await Locker(on: .current), try await Locker(on: .current))
    let key = uniqueKey()
    let options = LockOptions(timeout: .seconds(20), ttl: .seconds(30), extend: .seconds(10))
    let lock = try await first.acquire(key, options: options)
    let next = Task { try await first.acquire(key, options: options) }
    let adopted = try await second.adopt(try await lock.detach(), options: options)
    await eventually { try await first.inspect(key)?.waiterCount == 1 }
    let start = ContinuousClock.now
    try await adopted.release()
    try await next.value.release()
    #expect(start.duration(to: .now) < .inTime)
  }

  @Test("A lock that is lost or released cannot be detached")
  func notHeld() async throws {
    let locker = try await Locker(on: .current)
    let released = try await locker.acquire(uniqueKey())
    try await released.release()
    await expectError(.lost) { try await released.detach() }
    let lost = try await locker.acquire(uniqueKey())
    _ = try RedisClient(.current)("DEL", lost.keys[0])
    await expectError(.lost) { try await lost.detach() }
  }

  @Test("A detached lock cannot be adopted without keys or with invalid options")
  func badInput() async throws {
    let locker = try await Locker(on: .current)
    await expectError(.invalidKey) {
      try await locker.adopt(DetachedLock(keys: [], token: "t", fencingToken: nil))
    }
    let check = DetachedLock(keys: ["k"], token: "t", fencingToken: nil)
    await expectError(.invalidOptions) {
      try await locker.adopt(check, options: LockOptions(ttl: .zero))
    }
    await expectError(.lost) { try await locker.adopt(check) }
  }

  @Test("A detached lock is given back if the answer to its adoption does not come")
  func silence() async throws {
    let key = uniqueKey()
    let check = try await Locker(on: .current).acquire(
      key, options: LockOptions(ttl: .seconds(30), extend: .seconds(10))
    ).detach()
    let proxy = try FaultProxy(to: .current)
    defer { proxy.stop() }
    let locker = try await Locker(url: proxy.url) { $0.operationTimeout = .milliseconds(300) }
    proxy.setScript { message in
      let isAnswer = message.direction == .replies && message.command?.words.contains(key) == true
      return isAnswer ? .swallow : .forward
    }
    await expectError(.unreachable) { try await locker.adopt(check) }
    await eventually("the key is free") { try !RedisServer.current.hasKey(key) }
  }
}

extension Lock {
  /// Waits until the lock has been held for longer than possible without an extension.
  fileprivate func waitUntilExtended(past ttl: Duration) async throws {
    try await Task.sleep(for: ttl)
    #expect(isHeld)
  }
}
