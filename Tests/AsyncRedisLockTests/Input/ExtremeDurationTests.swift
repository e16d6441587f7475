import AsyncRedisLock
import FaultProxy
import Testing

@Suite("A margin before the loss of a lock", .timeLimit(.minutes(2)))
struct ExtremeDurationTests {
  private static let margins: [Duration] = [
    .seconds(Int64.max), .seconds(Int64.min), .nanoseconds(Int64.max), .seconds(300 * 365 * 86_400),
    .seconds(-300 * 365 * 86_400),
  ]

  @Test("A margin before the loss of a lock may be any duration", arguments: margins)
  func margin(_ margin: Duration) async throws {
    let server = try FakeServer(.unixSocket)
    defer { server.stop() }
    let locker = try await Locker(url: server.url)
    let options = LockOptions(ttl: .milliseconds(100), extend: nil)
    let lock = try await locker.acquire(uniqueKey(), options: options)
    try await lock.waitUntilLost(within: margin)
    #expect(margin > .zero || lock.lossReason == .expired)
  }
}
