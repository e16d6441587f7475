#if THREAD_SANITIZER && !canImport(Darwin)
  internal import Glibc

  /// A value that is touched only under a mutex.
  ///
  /// The standard library's `Mutex`, but in builds for the thread sanitizer on Linux: there that one is a futex in a
  /// library without instrumentation, so that the sanitizer does not see its locking and reports every access under
  /// it. It does see pthread's. Unchecked, because the compiler cannot know that the value is touched under the lock
  /// alone.
  @safe package struct Locked<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    private let handle = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let value = UnsafeMutablePointer<Value>.allocate(capacity: 1)

    package init(_ value: consuming sending Value) {
      unsafe pthread_mutex_init(handle, nil)
      unsafe self.value.initialize(to: value)
    }

    deinit {
      unsafe value.deinitialize(count: 1)
      unsafe value.deallocate()
      unsafe pthread_mutex_destroy(handle)
      unsafe handle.deallocate()
    }

    package borrowing func withLock<Result: ~Copyable, Failure: Error>(
      _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
      unsafe pthread_mutex_lock(handle)
      defer { unsafe pthread_mutex_unlock(handle) }
      return try unsafe body(&value.pointee)
    }
  }
#else
  package import Synchronization

  /// A value that is touched only under a mutex.
  package typealias Locked<Value: ~Copyable> = Mutex<Value>
#endif
