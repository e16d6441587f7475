/// A command as a server reads it.
package struct FakeCommand: Sendable, Equatable {
  package let words: [String]

  /// Reads a complete command.
  package init(_ message: [UInt8]) { words = MessageSplitter.words(of: message) }

  /// The command's name in capital letters.
  package var name: String { words.first?.uppercased() ?? "" }
}
