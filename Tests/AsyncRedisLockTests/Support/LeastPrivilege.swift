import Foundation

/// The user of the README with only the permissions that the library needs.
///
/// With `REDIS_TEST_USER=least-privilege` in the environment, each locker for a server of the trait `redisServer`
/// logs in as that user. Everything has to work as for a user with all permissions.
enum LeastPrivilege {
  /// Whether the tests run as that user.
  static let isWanted =
    ProcessInfo.processInfo.environment["REDIS_TEST_USER"] == "least-privilege"

  /// The name and the password of the user, as in a URL.
  static let login = "least:secret"

  /// The arguments that make a server know the user.
  ///
  /// - Throws: `CocoaError` if the README has no rules.
  static func arguments() throws -> [String] {
    // The tests lock keys of any name. Other tests show that forbidden keys are refused.
    try ["--user", "least"] + rules().filter { !$0.hasPrefix("~") } + ["~*"]
  }

  /// The rules of the README's `ACL SETUSER`.
  ///
  /// - Throws: `CocoaError` if there are none.
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
