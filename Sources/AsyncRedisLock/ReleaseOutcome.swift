/// What became of a released lock; ``LossReason`` uses the same words.
public enum ReleaseOutcome: Sendable, Hashable {
  /// The lock was held until now and has been given back; others get it once ``LockOptions/minHold`` is over.
  ///
  /// A lock that passes to another task of this locker counts as held if the server has confirmed it within the
  /// last 50 ms plus a round trip. An older lock is released on the server, which tells its state.
  case released
  /// The lock's validity had ended, and its key was free.
  ///
  /// For a lock on several keys: at least one key was free.
  case expired
  /// The lock's key was gone before its time: a client deleted it, or the server forgot it.
  ///
  /// For a lock on several keys: at least one key was gone.
  case deleted
  /// Another holder has the lock and keeps it: see ``Lock/newHolder``.
  ///
  /// For a lock on several keys: at least one key belongs to another holder; the other keys are released.
  case takenByAnother
}
