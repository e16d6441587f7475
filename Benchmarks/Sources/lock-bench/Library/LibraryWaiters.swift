import AsyncRedisLock
import Synchronization

/// Tasks that wait for a lock that another locker holds.
final class LibraryWaiters: Sendable {
  private let holder: Locker
  private let lock: Lock
  private let task: Task<Void, Never>

  /// Returns when all tasks have requested the lock.
  init(_ count: Int, _ order: WorkerOrder, _ locker: Locker) async throws {
    holder = try await Locker(url: order.url)
    let key = order.ownKey(1)
    lock = try await holder.acquire(key)
    let (asking, continuation) = AsyncStream.makeStream(of: Void.self)
    task = Task {
      await withDiscardingTaskGroup { group in
        for _ in 0..<count {
          group.addTask {
            continuation.yield()
            // The cancellation ends the wait.
            _ = try? await locker.acquire(key, options: LockOptions(timeout: nil))
          }
        }
      }
    }
    var left = count
    for await _ in asking {
      left -= 1
      if left == 0 { break }
    }
  }

  /// Makes the waiters give up.
  func stop() async {
    task.cancel()
    await task.value
    await holder.close()
  }
}
