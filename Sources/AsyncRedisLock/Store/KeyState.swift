/// The holder of a key.
package struct KeyState: Sendable, Hashable {
  /// The key's value; nil if it was not requested.
  package let holder: String?
  /// The time until the key expires; nil if it was not requested, or if the key never expires.
  package let remaining: Duration?

  /// Whether the key is known never to expire by itself.
  package let isEndless: Bool

  package init(holder: String?, remaining: Duration?, isEndless: Bool = false) {
    self.holder = holder
    self.remaining = remaining
    self.isEndless = isEndless
  }
}
