@testable import AsyncRedisLock

/// Grants: a well-formed message is read as it was written, and anything else is ignored.
enum GrantFuzzer {
  static func run(_ input: inout FuzzInput) {
    read(input.text)
    write(&input)
  }

  static func read(_ text: String) {
    guard let message = GrantMessage(parsing: text) else { return }
    verify(!message.keys.isEmpty && message.keys.allSatisfy { !$0.isEmpty }, "\(message)")
    verify(message.keys.reduce(0) { $0 + $1.utf8.count } < text.utf8.count, "\(message) of \(text)")
    verify(!message.token.contains(" "), "\(message)")
    verify(!message.numbers.isEmpty && message.numbers.lowerBound > 0, "\(message)")
    verify(message.numbers.upperBound <= 1 << 53, "\(message)")
    let written = write(
      message.numbers.lowerBound, UInt64(message.numbers.count), token: message.token,
      keys: message.keys)
    verify(GrantMessage(parsing: written) == message, "\(text) comes back as \(written)")
  }

  /// Writes a message as `queue.lua` does.
  private static func write(
    _ first: UInt64, _ count: UInt64, token: String, keys: [String]
  ) -> String {
    "\(first) \(count) \(token) " + keys.map { "\($0.utf8.count):\($0)" }.joined()
  }

  private static func write(_ input: inout FuzzInput) {
    let (first, count) = (input.number() >> 11 | 1, max(input.number() & 0xff, 1))
    guard first + count <= 1 << 53 else { return }
    // Only ASCII, like all tokens: other characters might combine with the space before them.
    let token = input.shortText().filter { $0.isASCII && $0 != " " }
    var keys: [String] = []
    repeat { keys.append("k" + input.shortText()) } while !input.isEmpty
    let text = write(first, count, token: token, keys: keys)
    guard let message = GrantMessage(parsing: text) else {
      return verify(false, "\(text) is not read")
    }
    verify(message.token.utf8.elementsEqual(token.utf8), "\(message) of \(text)")
    verify(message.keys.count == keys.count, "\(message.keys) of \(keys)")
    for (key, read) in zip(keys, message.keys) {
      verify(key.utf8.elementsEqual(read.utf8), "\(read) of \(key)")
    }
    verify(message.numbers == first..<first + count, text)
  }
}
