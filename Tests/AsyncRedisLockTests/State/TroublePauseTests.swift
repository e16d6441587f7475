import Logging
import Testing

@testable import AsyncRedisLock

@Suite("A server in trouble", .timeLimit(.minutes(1)))
struct TroublePauseTests {
  @Test("A waiter whose polls all fail pauses between them, even if its inbox is ready")
  func pausesBetweenPolls() async throws {
    let store = StubStore(isInTrouble: true)
    let coordinator = Coordinator(
      LockerConfiguration(), store: store, storeID: "nowhere",
      reporter: Reporter(logger: Logger(label: "trouble"), label: nil))
    await expectError(.refused) {
      try await coordinator.acquire(
        LockKeys(["key"]), options: LockOptions(timeout: .seconds(1)), waits: true)
    }
    // A pause is at least 50 ms.
    #expect(store.polls.value > 1 && store.polls.value <= 25, "\(store.polls.value) polls")
  }
}
