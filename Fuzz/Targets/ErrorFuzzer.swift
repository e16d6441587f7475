@testable import AsyncRedisLock

/// Error replies: whatever the server sends, the message is short and harmless, and its code is stable.
enum ErrorFuzzer {
  static func run(_ input: inout FuzzInput) { check(input.text) }

  static func check(_ text: String) {
    let error = ServerError(message: text)
    // Four bytes a scalar, or an escape of up to ten, and the length after it.
    verify(error.message.utf8.count <= 256 * 10 + 40, "\(error.message.utf8.count) bytes")
    verify(!error.message.hasControlCharacters, "control characters in \(error.message)")
    verify(!error.code.rawValue.contains(" "), "a code of several words")
    verify(error.code.rawValue.count <= 32, "a code of \(error.code.rawValue.count) characters")
    if error.message == text {
      verify(ServerError(message: error.message) == error, "\(text) becomes another error")
    }
    // The name of a script is taken out of the message, and may stand right behind the word.
    if let word = text.split(separator: " ").first, word != "ERR", text.hasPrefix(word + " "),
      !text.contains(" (call to f_"), !text.contains(" script: "),
      word.utf8.count <= 32, word.utf8.allSatisfy(isCapital)
    {
      verify(error.code.rawValue == word, "\(error.code.rawValue) is not the first word of \(text)")
    }
    let silent = error.inOwnWords("the server refused the login")
    let word = silent.message.prefix { $0 != " " }
    verify(word.utf8.count <= 16 && word.utf8.allSatisfy(isCapital), "\(silent.message)")
    let ownWords = [
      "the server refused the login", "no permission to access one of the keys", "unknown command",
      "the fence counter is beyond",
    ]
    verify(ownWords.contains(String(silent.message.dropFirst(word.count + 1))), "\(silent.message)")

    let failure = StoreFailure(error)
    if case .refused(let code, let message, let isTransient) = failure {
      verify(code == error.code.rawValue && message == error.message, "\(failure)")
      verify(isTransient != (error.remedy == .fail), "\(failure)")
    }
  }

  private static func isCapital(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
  }
}
