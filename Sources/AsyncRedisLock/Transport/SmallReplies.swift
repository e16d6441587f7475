/// Reads replies that are short, plain and complete, without a copy; all others are left to hiredis.
///
/// hiredis would read these replies in the same way.
@safe struct SmallReplies {
  private let bytes: UnsafeRawBufferPointer
  /// Where the next reply begins.
  private(set) var position = 0

  private static let longestText = 4096
  private static let mostElements = 16

  init(_ bytes: UnsafeRawBufferPointer) { unsafe self.bytes = bytes }

  /// The next reply; nil if there is none, or none that can be read here.
  mutating func next() -> Reply? {
    let start = position
    guard let reply = read(depth: 0) else {
      position = start
      return nil
    }
    return reply
  }

  private mutating func read(depth: Int) -> Reply? {
    guard unsafe position < bytes.count else { return nil }
    let mark = unsafe bytes[position]
    position += 1
    switch mark {
    case UInt8(ascii: ":"): return integer().map { .integer($0) }
    case UInt8(ascii: "$"):
      guard let length = integer() else { return nil }
      if length == -1 { return .null }
      guard (0...Int64(Self.longestText)).contains(length) else { return nil }
      return text(Int(length)).map { .string($0) }
    case UInt8(ascii: "+"):
      // "OK" is by far the most frequent.
      var end = position
      while unsafe end < bytes.count, unsafe bytes[end] != UInt8(ascii: "\r") { end += 1 }
      return end - position <= Self.longestText ? text(end - position).map { .status($0) } : nil
    case UInt8(ascii: "*"):
      guard depth < 2, let count = integer(), (0...Int64(Self.mostElements)).contains(count) else {
        return nil
      }
      var elements: [Reply] = []
      elements.reserveCapacity(Int(count))
      for _ in 0..<count {
        guard let element = read(depth: depth + 1) else { return nil }
        elements.append(element)
      }
      return .array(elements)
    default: return nil
    }
  }

  /// Reads a number as servers write it, up to the end of the line.
  private mutating func integer() -> Int64? {
    guard unsafe position < bytes.count else { return nil }
    let isNegative = unsafe bytes[position] == UInt8(ascii: "-")
    if isNegative { position += 1 }
    let start = position
    var number: Int64 = 0
    while unsafe position < bytes.count, position - start <= 17,
      case let digit = unsafe bytes[position],
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit)
    {
      number = number * 10 + Int64(digit - UInt8(ascii: "0"))
      position += 1
    }
    // Without a leading zero, on which readers differ.
    let isPlain =
      unsafe position - start == 1 || position > start && bytes[start] != UInt8(ascii: "0")
    guard isPlain, !(isNegative && number == 0), skipLineEnd() else { return nil }
    return isNegative ? -number : number
  }

  private mutating func text(_ length: Int) -> String? {
    guard unsafe bytes.count - position >= length + 2 else { return nil }
    let text = unsafe UnsafeRawBufferPointer(rebasing: bytes[position..<position + length])
    position += length
    guard skipLineEnd() else { return nil }
    return unsafe String(escapingInvalid: text)
  }

  private mutating func skipLineEnd() -> Bool {
    guard unsafe bytes.count - position >= 2, unsafe bytes[position] == UInt8(ascii: "\r"),
      unsafe bytes[position + 1] == UInt8(ascii: "\n")
    else { return false }
    position += 2
    return true
  }
}
