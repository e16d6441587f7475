internal import AsyncRedisLock
internal import Synchronization

/// A client's request to the server in memory: done at most once, and answered once.
final class InMemoryRequest: Sendable {
  /// Does what the request asks for; the closure that it returns delivers the answer.
  typealias Act = @Sendable (inout ServerMemory, Instant) -> @Sendable () -> Void

  let client: Int
  let deadline: Instant
  /// Whether the request is repeated while the server refuses it.
  let isPersistent: Bool
  let act: Act
  /// Makes the request that undoes this one, or does it later, if it has no answer.
  let remedy: (@Sendable () -> InMemoryRequest)?
  /// Whether a caller waits for the outcome.
  let hasCaller: Bool
  private let fail: @Sendable (StoreFailure) -> Void
  private let isOver = Atomic<Bool>(false)

  init(
    from client: Int, by deadline: Instant, isPersistent: Bool = false, hasCaller: Bool = true,
    remedy: (@Sendable () -> InMemoryRequest)? = nil, act: @escaping Act,
    fail: @escaping @Sendable (StoreFailure) -> Void
  ) {
    self.client = client
    self.deadline = deadline
    self.isPersistent = isPersistent
    self.hasCaller = hasCaller
    self.remedy = remedy
    self.act = act
    self.fail = fail
  }

  var hasEnded: Bool { isOver.load(ordering: .acquiring) }

  /// Ends the request; returns false if it had ended before.
  func end() -> Bool { !isOver.exchange(true, ordering: .acquiringAndReleasing) }

  /// Reports that there is no answer.
  func fail(_ failure: StoreFailure) { fail(failure) as Void }

  /// Makes the request that undoes a claim with an unknown outcome.
  static func cleaningUp(_ claim: Claim, of client: Int, until end: Instant) -> InMemoryRequest {
    InMemoryRequest(from: client, by: end, isPersistent: true, hasCaller: false) { memory, _ in
      let (keys, token) = memory.numbers(of: claim, client: client)
      _ = memory.server.release(keys, token, leaves: true)
      return {}
    } fail: { _ in
    }
  }
}
