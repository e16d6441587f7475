@testable import AsyncRedisLock

/// The listening connection: it delivers only messages of its channel, and no password.
enum InboxFuzzer {
  private static let channel = "redis-lock:inbox:0123456789abcdef"
  private static let secret = "Zq7Kx9vJ"
  private static let greeting =
    "+OK\r\n+OK\r\n" + "*3\r\n$9\r\nsubscribe\r\n$\(channel.utf8.count)\r\n\(channel)\r\n:1\r\n"

  static func run(_ input: inout FuzzInput) {
    let kind = input.byte()
    let size = Int(input.byte()) + 1
    // Without a greeting, with one, with messages, and with an error that shows the password.
    switch kind % 4 {
    case 0: listen(to: input.rest, by: size, expecting: nil)
    case 1: listen(to: Array(greeting.utf8) + input.rest, by: size, expecting: nil)
    case 2: messages(&input, size)
    default:
      let error = "-\(input.shortText())\(secret)\r\n"
      let answer = kind & 4 == 0 ? error : "+OK\r\n" + error
      listen(to: Array(answer.utf8) + input.rest, by: size, expecting: nil)
    }
  }

  private static func messages(_ input: inout FuzzInput, _ size: Int) {
    var texts: [String] = []
    while !input.isEmpty { texts.append(input.shortText()) }
    let bytes = texts.map { text in
      ReplyFuzzer.encode(.array([.string("message"), .string(channel), .string(text)]))
    }
    listen(to: Array((greeting + bytes.joined()).utf8)[...], by: size, expecting: texts)
  }

  private static func listen(
    to bytes: some Collection<UInt8>, by size: Int, expecting expected: [String]?
  ) {
    let wire = Wire()
    let login = Handshake(LockerConfiguration(password: Password(secret)), connectHook: nil)
    var messages: [String] = []
    do throws(TransportError) {
      let socket = try MessageStream(
        on: SocketStream(adopting: FileDescriptor(adopting: wire.client)), handshake: login, .plain,
        channels: [channel])
      var rest = Array(bytes)[...]
      while !rest.isEmpty {
        wire.send(rest.prefix(size))
        rest = rest.dropFirst(size)
        for case .message(let text, on: _) in try socket.receive() { messages.append(text) }
        verify(messages.isEmpty || bytes.count > 2 * channel.utf8.count, "\(messages)")
      }
      if let expected {
        verify(socket.isReady, "not subscribed")
        verify(messages == expected, "\(messages) instead of \(expected)")
      }
      for message in messages { GrantFuzzer.read(message) }
    } catch {
      verify(expected == nil, "\(error) instead of messages")
      ReplyFuzzer.judge(error)
      if !bytes.starts(with: greeting.utf8) {
        verify(!"\(StoreFailure(error))".contains(secret), "the password is shown: \(error)")
      }
    }
  }
}
