/// A password that descriptions, dumps and mirrors do not show.
///
/// Two passwords are equal if their bytes are, as on the server.
public struct Password: Sendable, Hashable, ExpressibleByStringLiteral {
  /// The password itself, for the one place that sends it.
  let value: String

  /// Wraps a password.
  public init(_ value: String) { self.value = value }

  /// Whether two passwords have the same bytes.
  public static func == (first: Self, second: Self) -> Bool {
    first.value.utf8.elementsEqual(second.value.utf8)
  }

  /// Wraps a password given as a literal.
  public init(stringLiteral value: String) { self.value = value }
}

extension Password: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// A placeholder, never the password.
  public var description: String { "<redacted>" }
  /// A placeholder, never the password.
  public var debugDescription: String { description }
  /// A mirror without children, so that `dump` has nothing to show.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}
