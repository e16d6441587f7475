/// How a lease came about.
enum LeaseOrigin: String, Sendable {
  /// The keys were free when they were asked for.
  case asked
  /// After waiting in the server's queue.
  case queued
  /// From another task of this locker.
  case handedOn = "handed on"
  /// From another process, which left it as a detached lock.
  case adopted
}
