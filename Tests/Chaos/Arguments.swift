/// A command, and options with one value each.
struct Arguments {
  /// An invalid argument.
  struct Bad: Error, CustomStringConvertible {
    let description: String

    init(_ what: String) { description = "bad argument: \(what)" }
  }

  /// The first word.
  let command: String
  /// The second.
  let rest: String
  private var values: [String: String] = [:]

  /// Parses the words.
  init(_ words: some Collection<String>) {
    let words = Array(words)
    command = words.first ?? ""
    rest = words.dropFirst().first ?? ""
    for (name, value) in zip(words, words.dropFirst()) where name.hasPrefix("--") {
      values[String(name.dropFirst(2))] = value
    }
  }

  /// The value of an option; nil if it is missing or empty.
  subscript(name: String) -> String? {
    values[name].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The value of an option as a number.
  ///
  /// - Throws: ``Bad``.
  func number(_ name: String) throws -> Double? {
    guard let value = self[name] else { return nil }
    guard let number = Double(value), number >= 0 else { throw Bad("--\(name) \(value)") }
    return number
  }
}
