#if THREAD_SANITIZER && !canImport(Darwin)
  internal import AsyncRedisLock

  /// The mutex that the sanitizer sees, here as in the library.
  typealias Mutex<Value: ~Copyable> = AsyncRedisLock.Mutex<Value>
#endif
