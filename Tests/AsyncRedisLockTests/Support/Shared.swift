import AsyncRedisLock
import Synchronization

/// A value shared by the test and the thread of a fake server or a proxy.
final class Shared<Value: Sendable>: Sendable {
  private let guarded: Locked<Value>

  init(_ value: Value) { guarded = Locked(value) }

  var value: Value {
    get { guarded.withLock { $0 } }
    set { guarded.withLock { $0 = newValue } }
  }

  /// Replaces the value; returns the former one.
  func exchange(_ value: Value) -> Value {
    guarded.withLock { current in
      defer { current = value }
      return current
    }
  }

  /// Changes the value atomically.
  func change(_ body: (inout Value) -> Void) { guarded.withLock { body(&$0) } }
}
