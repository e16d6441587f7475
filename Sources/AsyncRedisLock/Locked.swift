#if canImport(Darwin)
  package import Synchronization

  /// A value that is accessed only under a mutex.
  package typealias Locked<Value: ~Copyable> = Mutex<Value>
#else
  internal import CThreadSanitizer
  internal import Synchronization

  /// A value that is accessed only under a mutex.
  ///
  /// The standard library's `Mutex`. On Linux, that is a futex in a library without instrumentation: the thread
  /// sanitizer would not see its locking, and would report every access under it. So this type tells the
  /// sanitizer. In other builds that costs one look at a constant.
  package struct Locked<Value: ~Copyable>: ~Copyable, Sendable {
    private let mutex: Mutex<Value>

    @inline(__always)
    package init(_ value: consuming sending Value) { mutex = Mutex(value) }

    @inline(__always)
    package borrowing func withLock<Result: ~Copyable, Failure: Error>(
      _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
      try mutex.withLock { value throws(Failure) in
        if arl_is_thread_sanitized {
          unsafe withUnsafePointer(to: mutex) { unsafe arl_note_locked($0) }
        }
        defer {
          if arl_is_thread_sanitized {
            unsafe withUnsafePointer(to: mutex) { unsafe arl_note_unlocking($0) }
          }
        }
        return try body(&value)
      }
    }
  }
#endif
