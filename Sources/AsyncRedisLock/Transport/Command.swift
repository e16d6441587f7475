/// One command for the server, as the strings it consists of.
struct Command: Sendable, Equatable {
  let arguments: [String]
  /// The source of the script that an `EVALSHA` names by its digest.
  private let scriptSource: String?

  init(_ arguments: String...) { self.init(arguments) }

  init(_ arguments: [String], scriptSource: String? = nil) {
    self.arguments = arguments
    self.scriptSource = scriptSource
  }

  /// Whether the command runs a script, which gets the number of the request behind its arguments.
  var isScript: Bool { scriptSource != nil }

  /// The same command with a script's source in place of its digest, for a server that may not know the script.
  var bySource: Command {
    guard let scriptSource else { return self }
    return Command(["EVAL", scriptSource] + arguments.dropFirst(2), scriptSource: scriptSource)
  }
}
