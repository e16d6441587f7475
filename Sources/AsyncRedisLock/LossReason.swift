/// Why a lock was lost before it was released; new reasons may be added in a minor version.
public struct LossReason: Sendable, Hashable, CustomStringConvertible {
  private enum Value: String {
    case expired, takenAway, heldTooLong
  }

  private let value: Value

  /// The lock's validity ended without a confirmed extension: the server could not be reached, refused,
  /// or was not asked because the lock is not extended automatically.
  public static let expired = Self(value: .expired)
  /// The server said that the lock is another's, or was deleted.
  public static let takenAway = Self(value: .takenAway)
  /// The lock was held for as long as ``LockOptions/maxHold`` allows.
  public static let heldTooLong = Self(value: .heldTooLong)

  /// The reason's name, as in the source.
  public var description: String { value.rawValue }

  /// The reason as the end of a sentence.
  var explanation: String {
    switch value {
    case .expired: "its validity ended without a confirmed extension"
    case .takenAway: "the server says that it was deleted or taken by another"
    case .heldTooLong: "it was held for as long as maxHold allows"
    }
  }
}
