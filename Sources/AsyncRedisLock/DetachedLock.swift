/// A detached lock, left by ``Lock/detach()``, which another process can adopt.
///
/// Send it to the other process in any encoding, and pass it to ``Locker/adopt(_:options:logger:)`` there. Keep it
/// secret: any process that has it can take the lock.
public struct DetachedLock: Codable, Sendable, Hashable {
  /// The locked keys, sorted by their bytes.
  public let keys: [String]
  /// The value of the keys on the server until the lock is adopted.
  public let token: String
  /// The fencing token of the former holder; nil if fencing is off.
  ///
  /// The next holder gets a greater one.
  public let fencingToken: UInt64?

  /// Creates a value from its parts.
  public init(keys: [String], token: String, fencingToken: UInt64?) {
    self.keys = keys
    self.token = token
    self.fencingToken = fencingToken
  }
}
