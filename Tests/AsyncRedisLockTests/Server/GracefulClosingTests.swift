import AsyncRedisLock
import PrivateRedis
import Testing

#if ServiceLifecycle
  import Logging
  import ServiceLifecycle
#endif

@Suite(
  "A locker that closes once its locks are released", .timeLimit(.minutes(2)), .redisServer())
struct GracefulClosingTests {
  let options = LockOptions(
    timeout: .seconds(20), ttl: .milliseconds(300), extend: .milliseconds(60))

  /// Waits until calls are refused.
  private func untilClosed(_ locker: Locker) async {
    await eventually("new calls are refused") {
      let attempt = await Attempt { try await locker.acquireIfAvailable(uniqueKey()) }
      _ = try? await attempt.value??.release()
      return attempt.error?.code == .closed
    }
  }

  @Test("A locker that closes gracefully lets a body end past its ttl, and ends all waits")
  func bodyEnds() async throws {
    let locker = try await Locker(on: .current)
    let key = uniqueKey()
    let (isInside, mayEnd) = (Shared(false), Shared(false))
    let body = Task { [options] in
      try await locker.withLock(key, options: options) { lock in
        isInside.value = true
        while !mayEnd.value { try await Task.sleep(for: .milliseconds(5)) }
        return lock.isHeld
      }
    }
    await eventually { isInside.value }
    let local = Task { [options] in try await locker.acquire(key, options: options) }
    let other = try await Locker(on: .current).acquire("other-" + key, options: options)
    let remote = Task { [options] in try await locker.acquire("other-" + key, options: options) }
    await eventually { try await locker.inspect("other-" + key)?.waiterCount == 1 }

    let closing = Task { try await locker.closeWhenReleased() }
    await untilClosed(locker)
    await expectError(.closed) { try await local.value }
    await expectError(.closed) { try await remote.value }
    // Extended every 60 ms, so that after this many extensions it is past its first ttl.
    let client = RedisClient(.current)
    var (extensions, remaining) = (0, 0)
    await eventually("the lock is still extended") {
      let now = try client("PTTL", key).integer ?? 0
      if now > remaining { extensions += 1 }
      remaining = now
      return extensions > 5
    }
    #expect(try RedisServer.current.hasKey(key))
    mayEnd.value = true
    #expect(try await body.value)
    try await closing.value
    #expect(try !RedisServer.current.hasKey(key))
    try await other.release()
  }

  @Test("A locker that closes gracefully releases held locks as soon as the closing is cancelled")
  func cancelled() async throws {
    let locker = try await Locker(on: .current)
    let lock = try await locker.acquire(uniqueKey(), options: options)
    let closing = Task { try await locker.closeWhenReleased() }
    await untilClosed(locker)
    #expect(lock.isHeld)
    closing.cancel()
    try await closing.value
    #expect(!lock.isHeld)
    #expect(try !RedisServer.current.hasKey(lock.keys[0]))
  }

  @Test("A locker refuses to close gracefully under its own task's lock, and stays open")
  func underOwnLock() async throws {
    let (locker, other) = (try await Locker(on: .current), try await Locker(on: .current))
    try await locker.withLock(uniqueKey()) { lock in
      await expectError(.wouldDeadlock) { try await locker.closeWhenReleased() }
      #expect(lock.isHeld)
      try await locker.acquire(uniqueKey()).release()
      // Another locker has nothing to wait for.
      try await other.closeWhenReleased()
    }
    try await locker.closeWhenReleased()
  }

  @Test("A locker that closes gracefully closes at once if no lock is held")
  func nothingHeld() async throws {
    let locker = try await Locker(on: .current)
    try await locker.acquire(uniqueKey()).release()
    try await locker.closeWhenReleased()
    await expectError(.closed) { try await locker.acquire(uniqueKey()) }
  }

  #if ServiceLifecycle
    /// Runs a body until it returns.
    private struct Work: Service {
      let body: @Sendable () async throws -> Void

      func run() async throws { try await body() }
    }

    private func group(
      _ services: [any Service], longest: Duration? = nil
    ) -> ServiceGroup {
      var configuration = ServiceGroupConfiguration(
        services: services.map {
          .init(service: $0, successTerminationBehavior: .ignore)
        }, logger: Logger(label: "test"))
      configuration.maximumGracefulShutdownDuration = longest
      return ServiceGroup(configuration: configuration)
    }

    @Test("A locker as a service closes gracefully when its group shuts down")
    func service() async throws {
      let locker = try await Locker(on: .current)
      let key = uniqueKey()
      let (isInside, mayEnd) = (Shared(false), Shared(false))
      let work = Work { [options] in
        try await locker.withLock(key, options: options) { _ in
          isInside.value = true
          while !mayEnd.value { try await Task.sleep(for: .milliseconds(5)) }
        }
      }
      let group = group([locker, work])
      let running = Task { try await group.run() }
      await eventually { isInside.value }
      await group.triggerGracefulShutdown()
      #expect(try RedisServer.current.hasKey(key))
      mayEnd.value = true
      try await running.value
      #expect(try !RedisServer.current.hasKey(key))
      await expectError(.closed) { try await locker.acquire(key) }
    }

    @Test("A locker as a service releases the remaining locks when its group's patience ends")
    func impatientService() async throws {
      let locker = try await Locker(on: .current)
      let lock = try await locker.acquire(uniqueKey(), options: options)
      let group = group([locker], longest: .milliseconds(200))
      let running = Task { try await group.run() }
      await group.triggerGracefulShutdown()
      _ = try? await running.value
      #expect(!lock.isHeld)
      #expect(try !RedisServer.current.hasKey(lock.keys[0]))
    }
  #endif
}
