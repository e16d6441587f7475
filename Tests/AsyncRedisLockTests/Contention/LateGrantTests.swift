import Dispatch
import FaultProxy
import PrivateRedis
import Testing

@testable import AsyncRedisLock

/// The server keeps the order on each connection, but a grant and the answer to a poll come on different ones.
@Suite(
  "A grant message that comes when the lock is released", .timeLimit(.minutes(2)), .redisServer())
struct LateGrantTests {
  @Test("A late grant message gives nothing back ahead of the release or beside it")
  func released() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let proxy = try FaultProxy(to: server)
    let (holder, waiter) = (try await Locker(), try await Locker(url: proxy.url))
    let lock = try await handOver(key, from: holder, to: waiter, .patient)

    let (isHeldBack, mayPass) = (Shared(false), DispatchSemaphore(value: 0))
    proxy.setScript { message in
      if message.direction == .requests, message.command?.words.contains(lock.token) == true {
        isHeldBack.value = true
        mayPass.wait()
        mayPass.signal()
      }
      return .forward
    }
    defer { mayPass.signal() }
    func commandCount() -> Int { proxy.commands.count { $0.words.contains(lock.token) } }
    let count = commandCount()
    let release = Task { try await lock.release() }
    await eventually("the release is under way") { isHeldBack.value }
    try await repeatGrant(of: lock, on: key, to: waiter)
    mayPass.signal()
    #expect(try await release.value == .released)
    // Comes behind everything else that was sent.
    #expect(try await waiter.inspect(key) == nil)
    #expect(commandCount() == count + 1)
    #expect(try node(of: waiter).grantChannel.listenerCount == 0)
  }

  @Test("A late grant message does not free keys that are kept for minHold")
  func kept() async throws {
    let (server, key) = (RedisServer.current, uniqueKey())
    let (holder, waiter) = (try await Locker(), try await Locker())
    var options = LockOptions.patient
    options.minHold = .seconds(20)
    let lock = try await handOver(key, from: holder, to: waiter, options)
    #expect(try await lock.release() == .released)
    try await repeatGrant(of: lock, on: key, to: waiter)
    #expect(try await waiter.inspect(key)?.holder.value == lock.token)
    #expect(try server.value(of: key) == lock.token)
  }

  @Test("Neither a late grant message nor a release after the end of minHold counts as a loss")
  func keptUntilNow() async throws {
    let locker = try await Locker()
    let claim = Claim(keys: [uniqueKey()], token: "gone by now", ttl: .seconds(1))
    let answer = Promise<Result<ReleaseReport, StoreFailure>>()
    let release = Release(
      claim: claim, validUntil: .now, keysLastUntil: .now, wasValid: true, isRepetition: false,
      isAwaited: true, keptUntil: .now, hasQueued: false)
    try node(of: locker).release(release, by: .now + .seconds(5)) { answer.fulfil($0) }
    #expect(try await answer.value.get().outcome == .released)
  }

  /// Makes a locker wait for a key that another locker releases.
  private func handOver(
    _ key: String, from holder: Locker, to waiter: Locker, _ options: LockOptions
  ) async throws -> Lock {
    let former = try await holder.acquire(key, options: .patient)
    let waiting = try await queueUp(waiter, for: key, options: options)
    try await former.release()
    return try await expectPromptly(waiting)
  }

  /// Sends the message of the lock's grant once more, and waits until the locker has read it.
  private func repeatGrant(of lock: Lock, on key: String, to locker: Locker) async throws {
    let (client, hasReadOn) = (RedisClient(.current), Shared(false))
    let channel = "redis-lock:inbox:\(locker.id)"
    let node = try node(of: locker)
    node.listen(for: "next") { _ in hasReadOn.value = true }
    defer { node.grantChannel.forget("next") }
    for (token, key) in [(lock.token, key), ("next", "of no lock")] {
      let message = "\(lock.fencingToken ?? 1) 1 \(token) \(key.utf8.count):\(key)"
      #expect(try client("PUBLISH", channel, message).integer == 1)
    }
    await eventually("the message was read") { hasReadOn.value }
  }

  private func node(of locker: Locker) throws -> RedisNode {
    try #require(locker.coordinator.store as? RedisLockStore).node
  }
}
