#if CommandLineTool
  import ArgumentParser

  /// How many messages to print, and how.
  struct MessageOptions: ParsableArguments {
    @Flag(name: [.short, .long], help: "Print errors only.")
    var quiet = false

    @Flag(name: [.short, .long], help: "Print what the command does.")
    var verbose = false

    @Flag(help: "Print messages as JSON, one object per line.")
    var jsonLog = false

    func validate() throws {
      if quiet && verbose {
        throw ValidationError("--quiet and --verbose cannot both be given.")
      }
    }

    var console: Console {
      Console(level: quiet ? .error : verbose ? .info : .warning, isJSON: jsonLog)
    }
  }
#endif
