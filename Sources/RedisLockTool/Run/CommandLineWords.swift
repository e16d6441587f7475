#if CommandLineTool
  import CChildProcess

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// The words of a command, byte for byte as this process received them.
  enum CommandLineWords: Sendable {
    /// The words behind the first `--`.
    case behindTerminator
    case shell(String)

    /// The words of this process, without its name, and without the command of `run`; nil if one is not UTF-8.
    static let own: [String]? = {
      var words: [String] = []
      for index in unsafe pointers.indices.prefix(terminator).dropFirst() {
        guard let word = unsafe String(validatingCString: pointers[index]) else { return nil }
        words.append(word)
      }
      return words
    }()

    /// Whether messages are to be JSON, also those about other words.
    static var wantsJSON: Bool { own?.contains("--json-log") == true }

    /// Whether there is a command behind `--`.
    static var hasCommand: Bool { unsafe pointers.count > terminator + 1 }

    /// The first word of the command, for messages; bytes that are not UTF-8 are replaced.
    var name: String {
      switch self {
      case .shell: "/bin/sh"
      case .behindTerminator:
        unsafe Self.pointers.dropFirst(Self.terminator + 1).first.map { unsafe String(cString: $0) }
          ?? ""
      }
    }

    /// Calls a body with the words in C's form, the last of them NULL.
    func withCStrings<Result>(
      _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
      switch self {
      case .shell(let text):
        return unsafe RedisLockTool.withCStrings(["/bin/sh", "-c", text], body)
      case .behindTerminator:
        var words =
          unsafe Array(Self.pointers.dropFirst(Self.terminator + 1))
          as [UnsafeMutablePointer<CChar>?]
        unsafe words.append(nil)
        return unsafe words.withUnsafeBufferPointer { buffer in
          guard let start = buffer.baseAddress else {
            preconditionFailure("There is always a NULL.")
          }
          return unsafe body(start)
        }
      }
    }

    // Unsafe, since the compiler does not know that the process's own words live as long as it, and never change.
    private nonisolated(unsafe) static let pointers: [UnsafeMutablePointer<CChar>] = {
      guard let own = unsafe child_process_own_arguments() else { return unsafe [] }
      var words: [UnsafeMutablePointer<CChar>] = unsafe []
      for index in 0... {
        guard let word = unsafe own[index] else { break }
        unsafe words.append(word)
      }
      return unsafe words
    }()

    /// The index of the first `--` of `run`, or the count of words: the parser supports no second list of words.
    private static let terminator: Int = {
      guard unsafe pointers.count > 1, unsafe strcmp(pointers[1], "run") == 0 else {
        return unsafe pointers.count
      }
      return unsafe pointers.firstIndex { unsafe strcmp($0, "--") == 0 } ?? pointers.count
    }()
  }
#endif
