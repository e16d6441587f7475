/// The keys to lock, under a token that is used for nothing else.
package struct Claim: Sendable {
  /// How the keys are held.
  package enum Mode: Sendable {
    /// By one holder at a time.
    case exclusive
  }

  package let keys: [String]
  package let token: String
  package let ttl: Duration
  package let mode: Mode

  package init(keys: [String], token: String, ttl: Duration, mode: Mode = .exclusive) {
    self.mode = mode
    self.keys = keys
    self.token = token
    self.ttl = ttl
  }
}
