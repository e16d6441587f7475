#if CommandLineTool
  import ArgumentParser

  /// The command `redis-lock`.
  @main
  struct RedisLockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "redis-lock",
      abstract: "Runs commands under a lock that is shared by way of Redis or Valkey.",
      version: "0.1.0",
      subcommands: [
        RunCommand.self, StatusCommand.self, ReleaseCommand.self, ListCommand.self,
        DoctorCommand.self,
      ])

    /// What stands behind the first `--`.
    static let wordsBehindTerminator = Array(CommandLine.arguments.drop { $0 != "--" }.dropFirst())

    static func main() async {
      await main(Array(CommandLine.arguments.dropFirst().prefix { $0 != "--" }))
    }
  }
#else
  /// What `redis-lock` is when the package is built without its trait.
  @main
  enum RedisLockCommand {
    static func main() {
      print("redis-lock was built without the trait CommandLineTool, and can do nothing.")
    }
  }
#endif
