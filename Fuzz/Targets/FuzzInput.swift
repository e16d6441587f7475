/// An input, from which values are taken: numbers from its front, text from the rest.
struct FuzzInput {
  private(set) var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isEmpty: Bool { rest.isEmpty }

  /// The rest as text; bytes that are not UTF-8 become replacement characters.
  var text: String { String(decoding: rest, as: UTF8.self) }

  /// Takes a byte; 0 at the end.
  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  /// Takes eight bytes as a number, lowest byte first.
  mutating func number() -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(byte()) << (8 * $1) }
  }

  mutating func signedNumber() -> Int64 { Int64(bitPattern: number()) }

  /// Takes a text of up to 255 bytes; the first byte is its length.
  mutating func shortText() -> String {
    let length = Int(byte())
    defer { rest = rest.dropFirst(length) }
    return String(decoding: rest.prefix(length), as: UTF8.self)
  }
}
