import Foundation
import Synchronization

/// Tasks that poll in vain for a held lock, on a thread and a connection of their own.
final class CrateWaiters: Sendable {
  private let isStopped = Atomic(false)
  private let ended = DispatchSemaphore(value: 0)

  /// Takes the lock in the name of another client, and returns when all tasks have requested it once.
  init(_ count: Int, _ order: WorkerOrder) throws {
    let key = order.contendedKey
    let connection = try HiredisConnection(url: order.url)
    try connection.call(["SET", key, "another client", "PX", "\(HeldKeys.ttl)"])
    let url = order.url
    let asked = DispatchSemaphore(value: 0)
    Thread.detachNewThread { [self] in
      do {
        try poll(url, key, count) { asked.signal() }
      } catch {
        fatalError("the waiters failed: \(error)")
      }
      ended.signal()
    }
    asked.wait()
  }

  /// Makes the waiters give up, and returns when they have.
  func stop() {
    isStopped.store(true, ordering: .relaxed)
    ended.wait()
  }

  private func poll(_ url: String, _ key: String, _ count: Int, asked: () -> Void) throws {
    let locker = try CrateLocker(url: url)
    var calendar = Calendar()
    for task in 0..<count { calendar.add(task, at: Monotonic.now()) }
    let lock = LockCommands.crate(key, locker.scripts)
    var attempts = 0
    while !isStopped.load(ordering: .relaxed) {
      let due = calendar.waitForDue(upTo: Pipeline.batch)
      _ = try locker.tryAcquire(due.map { _ in lock })
      let again = Monotonic.now() + CrateLocker.retryMilliseconds * 1_000_000
      for task in due { calendar.add(task, at: again) }
      if attempts < count, attempts + due.count >= count { asked() }
      attempts += due.count
    }
  }
}
