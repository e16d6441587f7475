internal import Synchronization

/// Whether the server lets this locker use the queues.
///
/// A refusal counts for a while only, since the rights may be mended: a request finds that out. Each further refusal
/// counts for twice as long, until a request has used the queues.
final class QueueAccess: Sendable {
  private struct Refusal {
    /// The end of the latest refusal; nil if the queues may be used.
    var end: Instant?
    /// How long the next refusal counts.
    var pause = shortest
  }

  private static let shortest = Duration.seconds(1)
  private static let longest = Duration.seconds(60)

  private let clock: LockClock
  private let refusal = Locked(Refusal())
  /// Whether there is anything to look up: nearly always, there is not.
  private let isClear = Atomic<Bool>(true)

  init(clock: LockClock) { self.clock = clock }

  /// Whether scripts may use the queues.
  var isOpen: Bool {
    isClear.load(ordering: .relaxed) || refusal.withLock { isOver($0) }
  }

  private func isOver(_ refusal: Refusal) -> Bool { refusal.end.map { $0 <= clock.now } ?? true }

  /// Notes that the server has refused what the queues need; returns false if that was known.
  func refuse() -> Bool {
    refusal.withLock { refusal in
      guard isOver(refusal) else { return false }
      refusal.end = clock.now + refusal.pause
      refusal.pause = min(refusal.pause * 2, Self.longest)
      isClear.store(false, ordering: .relaxed)
      return true
    }
  }

  /// Notes that a request has used the queues.
  ///
  /// An answer that was under way at the refusal says nothing about the next request.
  func noteUse() {
    guard !isClear.load(ordering: .relaxed), isOpen else { return }
    permit()
  }

  /// Forgets what the server has refused.
  func permit() {
    refusal.withLock { refusal in
      refusal = Refusal()
      isClear.store(true, ordering: .relaxed)
    }
  }
}
