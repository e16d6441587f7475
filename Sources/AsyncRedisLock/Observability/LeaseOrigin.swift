/// How a lease came about.
enum LeaseOrigin: String, Sendable {
  /// The keys were free when requested.
  case asked
  /// The locker waited in the server's queue.
  case queued
  /// Another task of this locker handed it on.
  case handedOn = "handed on"
  /// Another process left it as a detached lock.
  case adopted
}
