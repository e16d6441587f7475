import Dispatch
import Foundation
import Logging
import Testing

@testable import AsyncRedisLock

@Suite("Closing")
struct ClosingTests {
  @Test("waits for a release that another thread has begun and not yet handed to the store")
  func releaseUnderWay() async throws {
    let store = SlowStore()
    let coordinator = Coordinator(
      LockerConfiguration(operationTimeout: .seconds(5)), store: store, place: "nowhere",
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

/// A store that has one free key, and takes a release only when the test allows it.
private final class SlowStore: LockStore {
  let isReleasing = Shared(false)
  let mayRelease = DispatchSemaphore(value: 0)
  let events = Recorder<String>()

  var clock: LockClock { .system }
  var roundTrip: Duration { .zero }
  var isFencing: Bool { false }
  var lockerID: String { "0123456789abcdef" }
  var isTold: Bool { false }

  func makeToken(label: String?) -> String { "token" }
  func connect(by deadline: Instant) async throws(StoreFailure) {}

  func acquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    .held(sentAt: .now, numbers: 0..<0)
  }

  func inquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    .held(sentAt: .now, numbers: 0..<0)
  }

  func adopt(
    _ claim: Claim, from token: String, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    .held(sentAt: .now, numbers: 0..<0)
  }

  func extend(
    _ extensions: [Extension], numbers: Int, by deadline: Instant,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void
  ) {}

  func release(
    _ release: Release, by deadline: Instant,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void
  ) {
    isReleasing.value = true
    mayRelease.wait()
    events.record("released")
    completion(.success(ReleaseReport(outcome: .released, isContended: false)))
  }

  func prepareToWait(completion: @escaping @Sendable (Bool) -> Void) { completion(false) }
  func listen(for token: String, _ listener: @escaping @Sendable (Notice) -> Void) {}
  func poll(
    _ claim: Claim, numbers: Int, lapse: Duration, by deadline: Instant,
    completion: @escaping @Sendable (Result<PollAnswer, StoreFailure>) -> Void
  ) { completion(.failure(.closed)) }
  func cancel(_ claim: Claim, lapse: Duration) {}
  func noteUntoldGrant(of token: String) {}
  func stopListening(for token: String) {}

  func inspect(_ key: String, by deadline: Instant) async throws(StoreFailure) -> Inspection? {
    nil
  }
  func forceRelease(_ key: String, by deadline: Instant) async throws(StoreFailure) -> String? {
    nil
  }
  func stop() {}
  func close() -> Promise<Void> {
    events.record("closed")
    let promise = Promise<Void>()
    promise.fulfil(())
    return promise
  }
}
