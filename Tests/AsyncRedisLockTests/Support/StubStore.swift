import Dispatch

@testable import AsyncRedisLock

/// A store that has one free key, and completes a release only when the test allows it.
///
/// In trouble, another holder has the key, and the store cannot keep entries. Its second attempt to be told of
/// grants succeeds, though.
final class StubStore: LockStore {
  let isReleasing = Shared(false)
  let mayRelease = DispatchSemaphore(value: 0)
  let events = Recorder<String>()

  let clock: LockClock
  let randomness = Randomness.system

  var roundTrip: Duration { .zero }
  var isFencing: Bool { false }
  var lockerID: String { "0123456789abcdef" }
  func isTold(of keys: [String]) -> Bool { isInTrouble && preparations.value > 1 }
  func mayQueueUntold(for keys: [String]) -> Bool { false }
  private let isInTrouble: Bool
  private let preparations = Shared(0)
  let polls = Shared(0)
  /// How often it was asked for the key.
  let questions = Shared(0)
  let isReachable = Shared(true)
  /// The requested extensions, which a test answers.
  let extensions = Shared<[@Sendable (Result<Extended, StoreFailure>) -> Void]>([])

  init(clock: LockClock = .system, isInTrouble: Bool = false) {
    self.clock = clock
    self.isInTrouble = isInTrouble
  }

  func makeToken(for keys: [String], label: String?) -> String { "token" }
  func connect(by deadline: Instant) async throws(StoreFailure) {}
  func ping(by deadline: Instant) async throws(StoreFailure) {}

  func acquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try answer()
  }

  func inquire(
    _ claim: Claim, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    try answer()
  }

  private func answer() throws(StoreFailure) -> Acquisition {
    questions.change { $0 += 1 }
    guard isReachable.value else { throw .unreachable("the server does not answer") }
    return isInTrouble ? .contended(KeyState()) : .held(sentAt: clock.now, numbers: 0..<0)
  }

  func adopt(
    _ claim: Claim, from token: String, numbers: Int, by deadline: Instant
  ) async throws(StoreFailure) -> Acquisition {
    .held(sentAt: clock.now, numbers: 0..<0)
  }

  func extend(
    _ extensions: [Extension], numbers: Int, by deadline: Instant,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void
  ) {
    self.extensions.change { $0.append(completion) }
  }

  func release(
    _ release: Release, by deadline: Instant,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void
  ) {
    isReleasing.value = true
    mayRelease.wait()
    events.record("released")
    completion(.success(ReleaseReport(outcome: .released, isContended: false)))
  }

  func prepareToWait(
    for keys: [String], while isWanted: (@Sendable () -> Bool)?,
    completion: @escaping @Sendable (Bool) -> Void
  ) {
    preparations.change { $0 += 1 }
    completion(isTold(of: keys))
  }
  func listen(for claim: Claim, _ listener: @escaping @Sendable (Notice) -> Void) {}
  func poll(
    _ claim: Claim, numbers: Int, lapse: Duration, reservation: Duration?, by deadline: Instant,
    completion: @escaping @Sendable (Result<PollAnswer, StoreFailure>) -> Void
  ) {
    polls.change { $0 += 1 }
    completion(.failure(.refused(code: "BUSY", message: "BUSY", isTransient: true)))
  }
  func cancel(_ claim: Claim, lapse: Duration) {}
  func noteUntoldGrant(of claim: Claim) {}
  func stopListening(for claim: Claim) {}

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
