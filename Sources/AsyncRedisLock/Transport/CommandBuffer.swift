/// Commands encoded in RESP2.
struct CommandBuffer: Sendable {
  private(set) var bytes: [UInt8] = []
  /// How many commands the buffer contains, written or not.
  private(set) var commandCount = 0

  init(capacity: Int = 0) { if capacity > 0 { bytes.reserveCapacity(capacity) } }

  /// Begins a command; its words have to follow, including the name.
  mutating func beginCommand(words: Int) {
    commandCount += 1
    append(UInt8(ascii: "*"), words)
  }

  mutating func append(_ word: String) {
    append(UInt8(ascii: "$"), word.utf8.count)
    bytes.append(contentsOf: word.utf8)
    appendLineEnd()
  }

  /// Encodes a command; one that runs a script gets the number of the request.
  mutating func append(_ command: Command, question: UInt32) {
    beginCommand(words: command.arguments.count + (command.isScript ? 1 : 0))
    for argument in command.arguments { append(argument) }
    if command.isScript { append(String(question)) }
  }

  mutating func append(_ other: CommandBuffer) {
    bytes.append(contentsOf: other.bytes)
    commandCount += other.commandCount
  }

  mutating func removeAll(keepingCapacity: Bool) {
    bytes.removeAll(keepingCapacity: keepingCapacity)
    commandCount = 0
  }

  /// Encodes the type and the size of the next element.
  private mutating func append(_ mark: UInt8, _ size: Int) {
    bytes.append(mark)
    var divisor = 1
    while size / divisor > 9 { divisor *= 10 }
    while divisor > 0 {
      bytes.append(UInt8(ascii: "0") + UInt8(size / divisor % 10))
      divisor /= 10
    }
    appendLineEnd()
  }

  private mutating func appendLineEnd() {
    bytes.append(UInt8(ascii: "\r"))
    bytes.append(UInt8(ascii: "\n"))
  }
}
