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
  }
#endif
