import Foundation

/// The user of the README who may do no more than the library needs.
///
/// With `REDIS_TEST_USER=least-privilege` in the environment every locker for a server of the trait
/// `redisServer` logs in as that user, and everything has to work as for the one who may do all.
enum LeastPrivilege {
  /// Whether the tests run as that user.
  static let isWanted =
    ProcessInfo.processInfo.environment["REDIS_TEST_USER"] == "least-privilege"

  /// What the user is called, and the password, as they stand in a URL.
  static let login = "least:secret"

  /// What makes a server know the user.
  ///
  /// - Throws: `CocoaError` when the README does not tell.
  static func arguments() throws -> [String] {
    // The tests lock keys of any name. That others than those allowed are refused has tests of its own.
    try ["--user", "least"] + rules().filter { !$0.hasPrefix("~") } + ["~*"]
  }

  /// The rules of the README's `ACL SETUSER`.
  ///
  /// - Throws: `CocoaError` when there are none.
  static func rules() throws -> [String] {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
      path: "../../../README.md")
    let readme = try String(contentsOf: file.standardized, encoding: .utf8)
    let start = "ACL SETUSER billing "
    guard let text = readme.components(separatedBy: start).dropFirst().first,
      let end = text.range(of: "```")
    else { throw CocoaError(.fileReadCorruptFile) }
    return text[..<end.lowerBound].split(whereSeparator: \.isWhitespace).map(String.init)
  }
}
