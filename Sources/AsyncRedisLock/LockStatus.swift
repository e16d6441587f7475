/// What the server says about a key that is locked.
public struct LockStatus: Sendable, Hashable {
  /// The key that was asked about.
  public let key: String
  /// Who holds it.
  public let holder: LockHolder
  /// How long until the key expires unless it is extended; nil when it never expires.
  public let remaining: Duration?

  init(key: String, state: KeyState) {
    self.key = key
    holder = LockHolder(value: state.holder ?? "")
    remaining = state.remaining
  }
}
