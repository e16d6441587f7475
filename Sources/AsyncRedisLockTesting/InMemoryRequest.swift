internal import AsyncRedisLock
internal import Synchronization

/// Something that a client asks the server in memory: done at most once, and answered once.
final class InMemoryRequest: Sendable {
  /// Does what is asked; what it returns brings the answer.
  typealias Act = @Sendable (inout ServerMemory, Instant) -> @Sendable () -> Void

  let client: Int
  let deadline: Instant
  /// Whether it is asked again and again while the server refuses.
  let isPersistent: Bool
  let act: Act
  /// What takes it back, or does it later, when it has no answer.
  let remedy: (@Sendable () -> InMemoryRequest)?
  /// Whether somebody wants to know what became of it.
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

  /// Ends the request; false when it had ended before.
  func end() -> Bool { !isOver.exchange(true, ordering: .acquiringAndReleasing) }

  /// Says that there is no answer.
  func fail(_ failure: StoreFailure) { fail(failure) as Void }

  /// Gives a claim back of which nobody knows whether it was granted.
  static func cleaningUp(_ claim: Claim, of client: Int, until end: Instant) -> InMemoryRequest {
    InMemoryRequest(from: client, by: end, isPersistent: true, hasCaller: false) { memory, _ in
      let (keys, token) = memory.numbers(of: claim, client: client)
      _ = memory.server.release(keys, token, leaves: true)
      return {}
    } fail: { _ in
    }
  }
}
