/// The keys to lock, under a token that is used for nothing else.
///
/// An object, because many parts keep it: copying it counts one reference instead of one for each property.
package final class Claim: Sendable {
  /// How the keys are held.
  package enum Mode: Sendable {
    /// By one holder at a time.
    case exclusive
  }

  package let lockKeys: LockKeys
  package let token: String
  package let ttl: Duration
  package let mode: Mode

  package init(_ keys: LockKeys, token: String, ttl: Duration, mode: Mode = .exclusive) {
    self.mode = mode
    lockKeys = keys
    self.token = token
    self.ttl = ttl
  }

  /// Creates a claim to keys that are checked and sorted already.
  package convenience init(
    keys: [String], token: String, ttl: Duration, mode: Mode = .exclusive
  ) {
    self.init(LockKeys(checked: keys), token: token, ttl: ttl, mode: mode)
  }

  package var keys: [String] { lockKeys.names }
}
