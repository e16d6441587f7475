/// Who holds a key.
package struct KeyState: Sendable, Hashable {
  /// The key's value; nil when it has not been asked for.
  package let holder: String?
  /// The time until the key expires; nil when it has not been asked for, or when there is no end to it.
  package let remaining: Duration?

  /// Whether the key is known never to expire by itself.
  package let isEndless: Bool

  package init(holder: String?, remaining: Duration?, isEndless: Bool = false) {
    self.holder = holder
    self.remaining = remaining
    self.isEndless = isEndless
  }
}
