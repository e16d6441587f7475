internal import Synchronization

/// An operation that the primary has executed, and that waits for its replicas.
final class Acknowledgement: Sendable {
  typealias Completion = @Sendable (Result<Void, StoreFailure>) -> Void

  /// The server that has executed it.
  let primary: PrimaryRun.Identity
  /// When the caller stops waiting.
  let deadline: Instant
  private let isFinished = Atomic<Bool>(false)
  private let completion: Completion

  /// Creates one; the completion is called once, on any thread, and must not block.
  init(on primary: PrimaryRun.Identity, by deadline: Instant, completion: @escaping Completion) {
    self.primary = primary
    self.deadline = deadline
    self.completion = completion
  }

  /// Whether its completion has been called.
  var isOver: Bool { isFinished.load(ordering: .acquiring) }

  /// Ends it, unless it has ended before; returns whether this was the end.
  @discardableResult
  func finish(_ result: Result<Void, StoreFailure>) -> Bool {
    guard !isFinished.exchange(true, ordering: .acquiringAndReleasing) else { return false }
    completion(result)
    return true
  }
}
