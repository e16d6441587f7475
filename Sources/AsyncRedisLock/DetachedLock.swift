/// What takes a lock over in another process that was left by ``Lock/detach()``.
///
/// Send it to the other process in any encoding, and hand it to ``Locker/adopt(_:options:logger:)`` there. Keep
/// it secret: whoever has it can take the lock.
public struct DetachedLock: Codable, Sendable, Hashable {
  /// The locked keys, sorted by their bytes.
  public let keys: [String]
  /// The value that the keys have on the server until the lock is taken over.
  public let token: String
  /// The fencing token of the former holder, whose successor gets a greater one; nil when fencing is off.
  public let fencingToken: UInt64?

  /// Creates a value from its parts.
  public init(keys: [String], token: String, fencingToken: UInt64?) {
    self.keys = keys
    self.token = token
    self.fencingToken = fencingToken
  }
}
