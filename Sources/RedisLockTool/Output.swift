#if CommandLineTool
  import AsyncRedisLock

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// The results of the tool, on its standard output.
  enum Output {
    /// Writes a line, in one go; if that fails, ends the process with an error.
    static func say(_ text: String) {
      guard let error = Console.write(text + "\n", to: STDOUT_FILENO) else { return }
      let why = unsafe String(cString: strerror(error))
      Console.fail(.output, "cannot write to the standard output: \(why)")
    }
  }

  extension String {
    /// The text with escapes for line ends and for characters that move a terminal's cursor.
    var safeToShow: String { escaped(upTo: .max) }

    /// The same for a text of several lines.
    var safeLines: String {
      split(separator: "\n", omittingEmptySubsequences: false).map { String($0).safeToShow }
        .joined(separator: "\n")
    }

    /// The text without the users and passwords of URLs in it.
    var masked: String {
      var parts = split(separator: "://", omittingEmptySubsequences: false).map(String.init)
      for index in parts.indices.dropFirst() {
        let url = parts[index].prefix { !$0.isWhitespace }
        if let end = url.lastIndex(of: "@") { parts[index] = "…" + parts[index][end...] }
      }
      return parts.joined(separator: "://")
    }
  }
#endif
