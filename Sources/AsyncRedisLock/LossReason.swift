/// Why a lock was lost before it was released.
public enum LossReason: Sendable, Hashable {
  /// The lock's validity ended without a confirmed extension: the server could not be reached, refused,
  /// or was not asked because the lock is not extended automatically.
  case expired
  /// The server said that the lock is another's, or was deleted.
  case takenAway
  /// The lock was held for as long as ``LockOptions/maxHold`` allows.
  case heldTooLong

  /// The reason as the end of a sentence.
  var explanation: String {
    switch self {
    case .expired: "its validity ended without a confirmed extension"
    case .takenAway: "the server says that it was deleted or taken by another"
    case .heldTooLong: "it was held for as long as maxHold allows"
    }
  }
}
