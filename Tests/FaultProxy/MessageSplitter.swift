/// Takes one message after another out of a stream of RESP 2, commands and replies alike; or records of TLS.
package struct MessageSplitter {
  private var bytes: ArraySlice<UInt8> = []

  package init() {}

  /// The bytes of an incomplete message.
  package var remainder: [UInt8] { Array(bytes) }

  package mutating func feed(_ new: [UInt8]) { bytes += new }

  /// The next complete message, byte for byte; nil if more has to arrive first.
  package mutating func next() -> [UInt8]? {
    guard let end = Self.end(of: bytes) else { return nil }
    defer { bytes = bytes[end...] }
    return Array(bytes[..<end])
  }

  /// The words of a command.
  package static func words(of message: [UInt8]) -> [String] {
    var rest = message[...]
    guard let count = number(after: "*", in: &rest) else { return [] }
    var words: [String] = []
    for _ in 0..<count {
      guard let length = number(after: "$", in: &rest), rest.count >= length else { break }
      words.append(String(decoding: rest.prefix(length), as: UTF8.self))
      rest = rest.dropFirst(length + 2)
    }
    return words
  }

  /// Where the first message of the bytes ends; nil if it is not complete.
  private static func end(of bytes: ArraySlice<UInt8>) -> Int? {
    if isRecord(bytes) { return endOfRecord(bytes) }
    guard let lineEnd = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    var rest = bytes
    switch bytes.first {
    case UInt8(ascii: "$"):
      guard let length = number(after: "$", in: &rest) else { return lineEnd + 1 }
      if length < 0 { return rest.startIndex }
      return rest.count >= length + 2 ? rest.startIndex + length + 2 : nil
    case UInt8(ascii: "*"):
      guard let count = number(after: "*", in: &rest) else { return lineEnd + 1 }
      for _ in 0..<max(count, 0) {
        guard let end = end(of: rest) else { return nil }
        rest = rest[end...]
      }
      return rest.startIndex
    default: return lineEnd + 1
    }
  }

  /// The first bytes of TLS's records (RFC 8446, section 5.1), none of which begins a message of RESP.
  private static let recordTypes: ClosedRange<UInt8> = 20...24

  private static func endOfRecord(_ bytes: ArraySlice<UInt8>) -> Int? {
    let header = bytes.prefix(5)
    guard header.count == 5 else { return nil }
    let length = header.suffix(2).reduce(0) { $0 << 8 | Int($1) }
    return bytes.count >= 5 + length ? bytes.startIndex + 5 + length : nil
  }

  /// Whether a message is a record of TLS.
  package static func isRecord(_ message: some Collection<UInt8>) -> Bool {
    message.first.map(recordTypes.contains) == true
  }

  /// Whether a message is a record of TLS that carries data of the application.
  package static func isApplicationRecord(_ message: [UInt8]) -> Bool { message.first == 23 }

  private static func number(after mark: Character, in rest: inout ArraySlice<UInt8>) -> Int? {
    guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    let line = String(decoding: rest[..<end], as: UTF8.self)
    guard line.first == mark else { return nil }
    rest = rest[(end + 1)...]
    return Int(line.dropFirst().dropLast(line.hasSuffix("\r") ? 1 : 0))
  }
}
