/// A connection as the server knows it: the bytes that have arrived, and its channels.
final class Session {
  weak var line: Line?
  var isOpen = true
  var isAtWork = false
  /// The server's offset after the last write of the session.
  var writtenAt = 0
  var channels: Set<String> = []
  private var input: [UInt8] = []
  private var start = 0

  func receive(_ bytes: [UInt8]) { input += bytes }

  /// Takes out the next command that has arrived as a whole.
  func nextCommand() -> [String]? {
    var position = start
    guard let count = number(after: "*", &position) else { return nil }
    var words: [String] = []
    for _ in 0..<count {
      guard let length = number(after: "$", &position), input.count >= position + length + 2
      else { return nil }
      words.append(String(decoding: input[position..<position + length], as: UTF8.self))
      position += length + 2
    }
    start = position
    if start == input.count { (input, start) = ([], 0) }
    return words
  }

  private func number(after mark: Character, _ position: inout Int) -> Int? {
    guard position < input.count else { return nil }
    precondition(input[position] == mark.asciiValue, "the client sends no command")
    var number = 0
    for index in (position + 1)..<input.count {
      if input[index] == UInt8(ascii: "\r") {
        guard index + 1 < input.count else { return nil }
        position = index + 2
        return number
      }
      number = number * 10 + Int(input[index] - UInt8(ascii: "0"))
    }
    return nil
  }
}
