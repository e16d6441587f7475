import AsyncRedisLock
import Foundation

/// Two mutexes that may not be taken in both orders.
enum MutexOrder {
  private static let first = Locked(0), second = Locked(0)

  /// Takes them in both orders, on two threads one after the other.
  static func invert() {
    onThread { first.withLock { _ in second.withLock { $0 += 1 } } }
    onThread { second.withLock { _ in first.withLock { $0 += 1 } } }
  }

  private static func onThread(_ work: @escaping @Sendable () -> Void) {
    let hasEnded = DispatchSemaphore(value: 0)
    Thread {
      work()
      hasEnded.signal()
    }.start()
    hasEnded.wait()
  }
}
