/// Why a lock was lost before it was released; new reasons may be added in a minor version.
///
/// ``ReleaseOutcome`` uses the same words.
public struct LossReason: Sendable, Hashable, CustomStringConvertible {
  private enum Value: String, CaseIterable {
    case expired, deleted, takenByAnother, heldTooLong
  }

  private let value: Value

  /// The lock's validity ended without a confirmed extension.
  ///
  /// The server could not be reached, or refused; the lock is not extended automatically; or this process was not
  /// running. The error's message and the log say which.
  public static let expired = Self(value: .expired)
  /// The server said that the lock's key was gone: a client deleted it, or the server forgot it.
  public static let deleted = Self(value: .deleted)
  /// The server said that another holder has the lock: see ``Lock/newHolder``.
  public static let takenByAnother = Self(value: .takenByAnother)
  /// The lock was held for as long as ``LockOptions/maxHold`` allows.
  public static let heldTooLong = Self(value: .heldTooLong)

  /// All reasons, for metrics that exist from the start.
  static let all = Value.allCases.map(Self.init(value:))

  /// The loss that a release has found; nil if the lock was held.
  init?(_ outcome: ReleaseOutcome) {
    switch outcome {
    case .released: return nil
    case .expired: self = .expired
    case .deleted: self = .deleted
    case .takenByAnother: self = .takenByAnother
    }
  }

  private init(value: Value) { self.value = value }

  /// Whether the server has reported the loss, rather than this process's clock.
  package var isSaidByServer: Bool { value == .deleted || value == .takenByAnother }

  /// The reason's name, as in the source.
  public var description: String { value.rawValue }
}
