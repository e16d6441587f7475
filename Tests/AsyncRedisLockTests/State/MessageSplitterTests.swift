import FaultProxy
import Testing

@Suite("The splitter of streams", .timeLimit(.minutes(2)))
struct MessageSplitterTests {
  static let messages = [
    "+OK\r\n", "-ERR no\r\n", ":-12\r\n", "$-1\r\n", "$0\r\n\r\n", "$5\r\na\r\nbc\r\n", "*-1\r\n",
    "*0\r\n",
    "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "*3\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n*0\r\n",
  ]

  @Test("The splitter finds all messages, wherever the stream is cut")
  func allCuts() {
    let stream = Self.messages.flatMap { Array($0.utf8) }
    for cut in 0...stream.count {
      var splitter = MessageSplitter()
      var found: [String] = []
      for part in [stream[..<cut], stream[cut...]] {
        splitter.feed(Array(part))
        while let message = splitter.next() {
          found.append(String(decoding: message, as: UTF8.self))
        }
      }
      #expect(found == Self.messages, "cut after \(cut) bytes")
      #expect(splitter.remainder.isEmpty)
    }
  }

  @Test("The splitter keeps incomplete messages")
  func incomplete() {
    for message in Self.messages {
      for length in 0..<message.utf8.count {
        var splitter = MessageSplitter()
        splitter.feed(Array(message.utf8.prefix(length)))
        #expect(splitter.next() == nil, "\(length) bytes of \(message)")
        #expect(splitter.remainder.count == length)
      }
    }
  }

  @Test("The splitter reads the words of commands, with any bytes in them")
  func words() {
    func words(_ text: String) -> [String] { MessageSplitter.words(of: Array(text.utf8)) }
    #expect(words("*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n") == ["GET", "a\r\nb"])
    #expect(words("*1\r\n$0\r\n\r\n") == [""])
    #expect(words("+OK\r\n").isEmpty)
    #expect(words("*2\r\n$3\r\nGET\r\n$9\r\nshort\r\n") == ["GET"])
  }
}
