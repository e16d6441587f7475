import Dispatch
import Logging
import Testing

@testable import AsyncRedisLock

@Suite("A call whose time is up before it runs", .timeLimit(.minutes(1)))
struct BelatedCallTests {
  /// A clock on which a second passes once, after the first look at it.
  private final class PassingTime: ManualTime {
    private let start = Instant.now
    private let hasBegun = Shared(false)

    var now: Instant { hasBegun.exchange(true) ? start + .seconds(1) : start }

    func makeTimer(_ handler: @escaping @Sendable () -> Void) -> any WakeTimer {
      LockClock.system.makeTimer(handler)
    }
  }

  @Test("A belated call sends one request, even for a contended key", arguments: [true, false])
  func asksOnce(isReachable: Bool) async throws {
    let store = StubStore(clock: LockClock(PassingTime()))
    store.isReachable.value = isReachable
    store.mayRelease.signal()
    let coordinator = Coordinator(
      LockerConfiguration(), store: store, storeID: "nowhere",
      reporter: Reporter(logger: Logger(label: "belated"), label: nil))
    let keys = try LockKeys(["key"])
    coordinator.queues.note(keys, isContended: true)
    let attempt = await Attempt {
      try await coordinator.acquire(
        keys, options: LockOptions(timeout: .milliseconds(500), ttl: .seconds(3)), waits: true)
    }
    if isReachable {
      _ = try attempt.result.get()
    } else {
      #expect(attempt.error?.code == .unreachable)
    }
    #expect(store.questions.value == 1)
    await coordinator.close()
  }
}
