import AsyncRedisLock
import Synchronization

/// Notes values from any task, in the order they come.
final class Recorder<Value: Sendable>: Sendable {
  private let recorded = Locked<[Value]>([])

  var values: [Value] { recorded.withLock { $0 } }

  func record(_ value: Value) { recorded.withLock { $0.append(value) } }
}
