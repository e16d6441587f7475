import Dispatch

@testable import AsyncRedisLock

/// A store that has one free key, and takes a release only when the test allows it.
final class StubStore: LockStore {
  let isReleasing = Shared(false)
  let mayRelease = DispatchSemaphore(value: 0)
  let events = Recorder<String>()

  let clock: LockClock

  var roundTrip: Duration { .zero }
  var isFencing: Bool { false }
  var lockerID: String { "0123456789abcdef" }
  var isTold: Bool { false }

  init(clock: LockClock = .system) { self.clock = clock }

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
