#if CommandLineTool
  import AsyncRedisLock

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// What the tool was asked for, on its standard output.
  enum Output {
    /// Writes a line, in one go; ends the process with an error when that cannot be written.
    static func say(_ text: String) {
      guard let error = Console.write(text + "\n", to: STDOUT_FILENO) else { return }
      let why = unsafe String(cString: strerror(error))
      Console.fail(.output, "cannot write to the standard output: \(why)")
    }
  }

  extension String {
    /// The text with what moves a terminal's cursor, or ends a line, as escapes.
    var safeToShow: String { escaped(upTo: .max) }
  }
#endif
