import AsyncRedisLock
import Synchronization

/// Records values from any task, in their order of arrival.
final class Recorder<Value: Sendable>: Sendable {
  private let recorded = Locked<[Value]>([])

  var values: [Value] { recorded.withLock { $0 } }

  func record(_ value: Value) { recorded.withLock { $0.append(value) } }
}
