@testable import AsyncRedisLock

/// Replies: a value or an error within bounds, however the bytes are split; a well-formed reply is read as it was
/// written.
enum ReplyFuzzer {
  static func run(_ input: inout FuzzInput) {
    switch input.byte() % 32 {
    case 0, 8, 16, 24: write(&input)
    // Rarely, since it takes a thousand times as long.
    case 1: flood(Array(input.rest))
    default:
      let size = Int(input.byte()) + 1
      let inOne = read(input.rest, by: input.rest.count)
      let inPieces = read(input.rest, by: size)
      // Compares only as far as both get: the depth of nesting is checked between two reads.
      for (first, second) in zip(inOne.replies, inPieces.replies) {
        verify(first == second, "\(first) in one piece, \(second) in pieces of \(size)")
      }
      verify(
        inOne.failure != nil || inPieces.failure != nil || inOne.replies == inPieces.replies,
        "\(inOne) is not \(inPieces)")
    }
  }

  private struct Outcome {
    var replies: [Reply] = []
    var failure: TransportError?
  }

  /// Makes the library read bytes, this many at a time.
  private static func read(_ bytes: ArraySlice<UInt8>, by size: Int) -> Outcome {
    let wire = Wire()
    var outcome = Outcome()
    do throws(TransportError) {
      var stream = try CommandStream(
        on: SocketStream(adopting: FileDescriptor(adopting: wire.client)),
        mayRepeatPassword: { _ in false })
      var rest = bytes
      while !rest.isEmpty {
        let piece = rest.prefix(min(size, 4096))
        rest = rest.dropFirst(piece.count)
        wire.send(piece)
        verify(try stream.read() != .nothing, "nothing of \(piece.count) bytes was read")
        while let reply = try stream.nextReply() {
          outcome.replies.append(reply)
          judge(reply)
        }
        verify(
          stream.hasUnparsedBytes || !rest.isEmpty || outcome.replies.count > 0,
          "\(bytes.count) bytes are gone")
      }
    } catch {
      outcome.failure = error
      judge(error)
    }
    verify(outcome.replies.count <= bytes.count / 3 + 1, "\(outcome.replies.count) replies")
    return outcome
  }

  /// Reads a reply in the way of the library's callers.
  private static func judge(_ reply: Reply, depth: Int = 0) {
    verify(depth <= 9, "nested \(depth) deep")
    if let number = reply.fencingToken { verify(number < .max, "a number without a next") }
    if let numbers = reply.fencingTokens(16) { verify(numbers.count == 16, "\(numbers)") }
    if case .error(let error) = reply { ErrorFuzzer.check(error.message) }
    if case .unintelligible(let text) = StoreFailure.unexpected(reply) {
      verify(text.utf8.count < 1024 && !text.hasControlCharacters, text)
    }
    guard case .array(let fields) = reply else { return }
    verify(fields.count <= 1024, "\(fields.count) elements")
    if let state = KeyState(fields[...]) {
      verify(state.remaining ?? .zero >= .zero, "\(state)")
    }
    for field in fields { judge(field, depth: depth + 1) }
  }

  static func judge(_ error: TransportError) {
    if case .unreachable(let text) = StoreFailure(error) {
      verify(text.utf8.count < 4096, "a message of \(text.utf8.count) bytes")
    }
  }

  /// Repeats the bytes endlessly: every reply is complete, or is cut off in time.
  private static func flood(_ pattern: [UInt8]) {
    guard !pattern.isEmpty else { return }
    let piece = Array(repeatElement(pattern, count: 16384 / pattern.count + 1).joined())
    let wire = Wire()
    do throws(TransportError) {
      var stream = try CommandStream(
        on: SocketStream(adopting: FileDescriptor(adopting: wire.client)),
        mayRepeatPassword: { _ in false })
      var (open, replies) = (0, 0)
      // Many small replies are not a flood, and take long.
      for _ in 0..<80 where replies < 1000 {
        wire.send(piece[...])
        while try stream.read() != .nothing {}
        open += piece.count
        while try stream.nextReply() != nil { (open, replies) = (0, replies + 1) }
        verify(open <= 1 << 20 + 2 * piece.count, "a reply of \(open) bytes goes on")
      }
    } catch {
      judge(error)
    }
  }

  // MARK: Writing

  /// Writes a reply from the input, and checks that it is read back.
  private static func write(_ input: inout FuzzInput) {
    let size = Int(input.byte()) + 1
    var replies: [Reply] = []
    while !input.isEmpty { replies.append(make(&input, depth: 0)) }
    let bytes = replies.map(encode).joined()
    guard bytes.utf8.count < 1 << 18 else { return }
    let outcome = read(Array(bytes.utf8)[...], by: size)
    verify(outcome.failure == nil, "\(bytes): \(outcome)")
    verify(outcome.replies == replies, "\(outcome.replies) instead of \(replies)")
  }

  private static func make(_ input: inout FuzzInput, depth: Int) -> Reply {
    switch input.byte() % 6 {
    case 0: .string(input.shortText())
    case 1: .integer(input.signedNumber())
    case 2: .null
    case 3: .status(line(&input))
    case 4: error(line(&input))
    default:
      .array(depth > 5 ? [] : (0..<input.byte() % 8).map { _ in make(&input, depth: depth + 1) })
    }
  }

  /// An error whose text is neither escaped nor cut, so that it is read back unchanged.
  private static func error(_ text: String) -> Reply {
    let error = ServerError(message: text)
    return .error(error.message == text ? error : ServerError(message: "ERR"))
  }

  private static func line(_ input: inout FuzzInput) -> String {
    String(input.shortText().unicodeScalars.filter { $0 != "\r" && $0 != "\n" }.map(Character.init))
  }

  static func encode(_ reply: Reply) -> String {
    switch reply {
    case .string(let text): "$\(text.utf8.count)\r\n\(text)\r\n"
    case .integer(let number): ":\(number)\r\n"
    case .null: "$-1\r\n"
    case .status(let text): "+\(text)\r\n"
    case .error(let error): "-\(error.message)\r\n"
    case .array(let fields): "*\(fields.count)\r\n" + fields.map(encode).joined()
    }
  }
}
