/// A key that a walk through a database has found: a string, or the record of a run.
package struct ListedKey: Sendable {
  /// What a walk looks for.
  package enum KeyType: String, Sendable {
    case string
    /// Of these, only the records of runs.
    case hash
  }

  /// The key's bytes.
  package let bytes: [UInt8]
  /// The first 512 bytes of its value; of a record, those of the token.
  package let value: String
  /// How long until it expires, in milliseconds; negative if it never does.
  package let milliseconds: Int64

  /// The key, in the form that calls take; nil if it is not UTF-8, since no call takes it then.
  package var name: String? { String(validating: bytes, as: UTF8.self) }

  /// The key for display: bytes that are not UTF-8, and characters that would move a terminal's cursor, become
  /// escapes.
  package var shown: String { String(escapingInvalid: bytes).escaped(upTo: .max) }

  /// Reads the three replies that describe a key; nil if they do not.
  init?(_ replies: ArraySlice<Reply>) {
    guard replies.count == 3, let start = replies.indices.first,
      case .string(let digits) = replies[start], case .string(let value) = replies[start + 1],
      case .integer(let milliseconds) = replies[start + 2]
    else { return nil }
    let digit = digits.utf8.compactMap { UInt8(String(UnicodeScalar($0)), radix: 16) }
    bytes = stride(from: 0, to: digit.count - 1, by: 2).map { digit[$0] << 4 | digit[$0 + 1] }
    self.value = value
    self.milliseconds = milliseconds
  }
}

extension String {
  /// The string as a pattern that only this string matches.
  package var escapedForPattern: String {
    var pattern = ""
    for scalar in unicodeScalars {
      if "*?[]^-\\".unicodeScalars.contains(scalar) { pattern.append("\\") }
      pattern.unicodeScalars.append(scalar)
    }
    return pattern
  }
}
