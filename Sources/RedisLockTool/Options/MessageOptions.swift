#if CommandLineTool
  import ArgumentParser

  /// How many messages to print, and how.
  struct MessageOptions: ParsableArguments {
    @Flag(name: [.short, .long], help: "Say nothing but errors.")
    var quiet = false

    @Flag(name: [.short, .long], help: "Say what happens.")
    var verbose = false

    @Flag(help: "Say it as JSON, an object a line.")
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
