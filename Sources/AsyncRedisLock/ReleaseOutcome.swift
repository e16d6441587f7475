/// What became of a lock that was released; ``LossReason`` has the same words.
public enum ReleaseOutcome: Sendable, Hashable {
  /// The lock was held until now, and has been given back; others get it when ``LockOptions/minHold`` is over.
  ///
  /// A lock that passes to another task of this locker counts as held if the server has confirmed it within the last
  /// 50 ms and a round trip. An older lock is released on the server, which tells.
  case released
  /// The lock's validity had ended, and its key was free.
  ///
  /// If a lock with several keys has ended so, at least one of them was free.
  case expired
  /// The lock's key was gone before its time: a client deleted it, or the server forgot it.
  ///
  /// If a lock with several keys has ended so, at least one of them was gone.
  case deleted
  /// Another holder has the lock, and keeps it: see ``Lock/newHolder``.
  ///
  /// If a lock with several keys has ended so, at least one of them is another's; the others are released.
  case takenByAnother
}
