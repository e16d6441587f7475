import AsyncRedisLock
import PrivateRedis
import Testing

@Suite("The login to sentinels", .redisServer(listen: .tcp), .timeLimit(.minutes(1)))
struct SentinelLoginTests {
  @Test("A sentinel that refuses the password is asked seldom, however many calls fail by that")
  func refused() async throws {
    let sentinel = try FakeSentinel(.port(RedisServer.current.port ?? 0), password: "another")
    defer { sentinel.stop() }
    var configuration = try LockerConfiguration(url: FakeSentinel.url([sentinel.port]))
    configuration.sentinelPassword = "wrong"
    configuration.connectTimeout = .seconds(10)
    configuration.operationTimeout = .seconds(10)
    let locker = try Locker(connectingLazilyTo: configuration)
    // A rate needs a time.
    let (start, calls) = (ContinuousClock.now, 200)
    for _ in 0..<calls {
      guard start.duration(to: .now) < .seconds(3) else { break }
      let attempt = await Attempt {
        try await locker.acquire(uniqueKey(), options: LockOptions(timeout: .milliseconds(10)))
      }
      #expect(attempt.error != nil)
    }
    // One login a second for the calls; the watches begin with the first that succeeds.
    let seconds = start.duration(to: .now) / .seconds(1)
    #expect(Double(sentinel.connectionCount) <= 3 + 2 * seconds, "\(seconds) s")
    await locker.close()
  }
}
