import Foundation
import Logging
import Testing

@testable import AsyncRedisLock

@Suite("Closing")
struct ClosingTests {
  @Test("waits for a release that another thread has begun and not yet handed to the store")
  func releaseUnderWay() async throws {
    let store = StubStore()
    let coordinator = Coordinator(
      LockerConfiguration(operationTimeout: .seconds(5)), store: store, storeID: "nowhere",
      reporter: Reporter(logger: Logger(label: "closing"), label: nil))
    let lease = try #require(
      try await coordinator.acquire(LockKeys(["key"]), options: LockOptions(), waits: false))
    Thread.detachNewThread { coordinator.release(lease) }
    await eventually("the release begins") { store.isReleasing.value }
    let closing = Task { await coordinator.close() }
    // Either it waits now, or it is through before the release is; nobody can tell without time.
    try await Task.sleep(for: .milliseconds(100))
    store.mayRelease.signal()
    await closing.value
    await eventually("both are through") { store.events.values.count == 2 }
    #expect(store.events.values == ["released", "closed"])
  }
}
