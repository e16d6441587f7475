/// What became of a lock that was released.
public enum ReleaseOutcome: Sendable, Hashable {
  /// The lock was held until now, and has been given back; others get it when ``LockOptions/minHold`` is over.
  ///
  /// A lock that passes to another task of this locker counts as held if the server has confirmed it within the last
  /// 50 ms and a round trip. An older lock is released on the server, which tells.
  case released
  /// The lock had expired, or had been deleted, and was free already.
  ///
  /// Of a lock with several keys this is said when at least one was free.
  case expired
  /// Somebody else holds the lock, and keeps it.
  ///
  /// Of a lock with several keys this is said when at least one is another's; the others are released.
  case takenByAnother
}
