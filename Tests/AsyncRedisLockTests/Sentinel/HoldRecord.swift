import AsyncRedisLock
import Testing

/// The intervals in which workers held a lock, by one monotonic clock.
final class HoldRecord: Sendable {
  struct Hold: Sendable {
    let worker: Int
    let start: ContinuousClock.Instant
    /// The last instant at which the lock was seen to be held.
    let end: ContinuousClock.Instant
    let fence: UInt64
  }

  private let guarded = Shared<[Hold]>([])
  private let isOver = Shared(false)

  var holds: [Hold] { guarded.value.sorted { $0.start < $1.start } }

  /// How many holds a worker has had.
  func count(of worker: Int) -> Int { guarded.value.count { $0.worker == worker } }

  /// Ends all workers after their present hold.
  func stop() { isOver.value = true }

  /// Takes the lock again and again, and records each hold, until ``stop()``.
  func work(_ worker: Int, on locker: Locker, _ key: String, _ options: LockOptions) async {
    while !isOver.value {
      guard let lock = try? await locker.acquire(key, options: options) else { continue }
      let start = ContinuousClock.now
      var end = start
      while lock.isHeld, start.duration(to: end) < .milliseconds(20) {
        end = .now
        try? await Task.sleep(for: .milliseconds(2))
      }
      let hold = Hold(worker: worker, start: start, end: end, fence: lock.fencingToken ?? 0)
      guarded.change { $0.append(hold) }
      _ = try? await lock.release()
    }
  }

  /// The pairs of neighbours that were held at the same time.
  var overlaps: [(Hold, Hold)] {
    let holds = holds
    return zip(holds, holds.dropFirst()).filter { $0.end > $1.start }
  }

  /// The pairs of neighbours whose fencing tokens do not grow.
  var disorders: [(Hold, Hold)] {
    let holds = holds
    return zip(holds, holds.dropFirst()).filter { $0.fence >= $1.fence }
  }
}
