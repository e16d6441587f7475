import Foundation
import Logging
import Testing

@testable import AsyncRedisLock
@testable import AsyncRedisLockTesting

@Suite("Closing", .timeLimit(.minutes(2)))
struct ClosingTests {
  @Test("Closing waits for a release that another thread has begun but not yet passed to the store")
  func releaseUnderWay() async throws {
    let activity = Activity()
    let store = StubStore(clock: LockClock(activity: activity))
    let coordinator = Coordinator(
      LockerConfiguration(operationTimeout: .seconds(5)), store: store, storeID: "nowhere",
      reporter: Reporter(logger: Logger(label: "closing"), label: nil))
    let lease = try #require(
      try await coordinator.acquire(LockKeys(["key"]), options: LockOptions(), waits: false))
    Thread.detachNewThread { coordinator.release(lease) }
    await eventually("the release begins") { store.isReleasing.value }
    let closing = Task(executorPreference: activity) { await coordinator.close() }
    // By now, it waits, or has finished before the release.
    try await activity.settle()
    store.mayRelease.signal()
    await closing.value
    await eventually("both are through") { store.events.values.count == 2 }
    #expect(store.events.values == ["released", "closed"])
  }
}
