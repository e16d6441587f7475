/// A server's answer.
public enum RedisValue: Sendable, Hashable {
  /// A whole number.
  case integer(Int)
  /// A string; bytes that are not UTF-8 are replaced.
  case string(String)
  /// A status, such as `OK`.
  case status(String)
  /// A list, such as the answer to `EXEC` or `LRANGE`.
  case array([RedisValue])
  /// An error inside a list; an error that is the whole answer is thrown instead.
  case error(String)
  /// Null: no such key, or no such element.
  case null

  /// The text of a string or status, `nil` for everything else.
  public var string: String? {
    switch self {
    case .string(let text), .status(let text): text
    default: nil
    }
  }

  /// The number, `nil` for everything else.
  public var integer: Int? {
    if case .integer(let number) = self { number } else { nil }
  }

  /// The elements of a list, `nil` for everything else.
  public var array: [RedisValue]? {
    if case .array(let elements) = self { elements } else { nil }
  }
}
