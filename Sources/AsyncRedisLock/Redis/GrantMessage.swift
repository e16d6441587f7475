/// A message in an inbox: `first numbers token keys`, see `queue.lua`.
struct GrantMessage: Equatable {
  let token: String
  /// The fencing tokens that were drawn.
  let numbers: Range<UInt64>
  let keys: [String]

  /// Reads a message; nil if it is not one of the library's.
  init?(parsing text: String) {
    let fields = text.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
    guard fields.count == 4, let first = UInt64(fields[0]), first <= .largestFencingToken,
      let count = UInt16(fields[1]),
      first > 0, count > 0, first + UInt64(count) <= UInt64.largestFencingToken + 1,
      let keys = Self.keys(fields[3])
    else { return nil }
    token = String(fields[2])
    numbers = first..<first + UInt64(count)
    self.keys = keys
  }

  /// Reads netstrings without their commas: the length in bytes, a colon, the key.
  private static func keys(_ text: Substring) -> [String]? {
    var keys: [String] = []
    var rest = Substring(text).utf8
    while !rest.isEmpty {
      guard let colon = rest.firstIndex(of: UInt8(ascii: ":")),
        let length = String(rest[..<colon]).flatMap({ Int($0) }), length > 0,
        case let key = rest[rest.index(after: colon)...].prefix(length), key.count == length,
        let name = String(key)
      else { return nil }
      keys.append(name)
      rest = rest[key.endIndex...]
    }
    return keys.isEmpty ? nil : keys
  }
}
