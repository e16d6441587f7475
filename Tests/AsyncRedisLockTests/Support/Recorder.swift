#if THREAD_SANITIZER
  @testable import AsyncRedisLock
#else
  import Synchronization
#endif

/// Notes values from any task, in the order they come.
final class Recorder<Value: Sendable>: Sendable {
  private let recorded = Mutex<[Value]>([])

  var values: [Value] { recorded.withLock { $0 } }

  func record(_ value: Value) { recorded.withLock { $0.append(value) } }
}
