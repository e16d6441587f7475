#if CommandLineTool
  import ArgumentParser
  import CChildProcess
  import Dispatch

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// The start of `redis-lock`.
  ///
  /// Not asynchronous: without threads, no asynchronous code would ever run, or report why.
  @main
  enum Start {
    static func main() {
      // The runtime, the connection, its timers, the signals, the guardian, the witness and the command need about this
      // many.
      guard child_process_can_create_threads(16) != 0 else {
        Console.fail(.system, "the system allows too few threads")
      }
      // The same have about half as many, and two for each server of a quorum; some others are open for a moment.
      guard child_process_can_open(40) != 0 else {
        Console.fail(.system, "the system allows too few open files")
      }
      #if os(Linux)
        // Dispatch looks there whether its threads run, each second and as soon as it has much to do, and crashes
        // if it cannot.
        guard unsafe access("/proc/self/task/\(getpid())/stat", R_OK) == 0 else {
          Console.fail(.system, "/proc cannot be read, which Swift's runtime needs")
        }
      #endif
      // Not on the main actor, whose queue is not served.
      Task.detached {
        await RedisLockCommand.main()
        exit(0)
      }
      #if os(Linux)
        // Not `dispatchMain`: that unblocks the signals that the parent has blocked, before anything handles them.
        child_process_rest()
      #else
        dispatchMain()
      #endif
    }
  }

  /// The command `redis-lock`.
  struct RedisLockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "redis-lock",
      abstract: "Runs commands under a lock that is shared by way of Redis or Valkey.",
      version: "0.1.0",
      subcommands: [
        RunCommand.self, StatusCommand.self, ReleaseCommand.self, ListCommand.self,
        DoctorCommand.self,
      ])

    /// Reports an error in the usage, with a suggestion, and ends the process.
    private static func fail(_ error: any Error, _ words: [String]) -> Never {
      if CommandLineWords.wantsJSON { Console.fail(.usage, message(for: error).masked) }
      let isCommand = words.first.map { word in
        word == "help"
          || configuration.subcommands.contains { $0.configuration.commandName == word }
      }
      // In the style of flock(1): a lock, and a command.
      if isCommand == false, let key = words.first, !key.hasPrefix("-"), words.count > 1 {
        let rest = words.dropFirst(words[1] == "--" ? 2 : 1)
        // Neither the rest nor the parser's message, which may contain a password.
        let command = rest.first.map { $0.hasPrefix("-") ? "<command>" : $0 } ?? "<command>"
        let words = "\(key) -- \(command)\(rest.count > 1 ? " …" : "")"
        Console.fail(
          .usage, "unknown command. Did you mean: redis-lock run \(words.masked.safeToShow)")
      }
      // A command without `--` before it: its options are none of this tool's, and may contain a password.
      if words.first == "run", !CommandLineWords.hasCommand,
        !words.contains(where: { $0 == "-c" || $0.hasPrefix("--command") }),
        words.count > 2, !words[1].hasPrefix("-"), !words[2].hasPrefix("-")
      {
        let words = "\(words[1]) -- \(words[2])\(words.count > 3 ? " …" : "")"
        Console.fail(
          .usage,
          "a command is needed, either after -- or with -c. Did you mean: redis-lock run \(words.masked.safeToShow)"
        )
      }
      Console.sayLast(fullMessage(for: error).masked.safeLines + "\n")
      exit(withError: exitCode(for: error))
    }

    static func main() async {
      guard let words = CommandLineWords.own else {
        Console.fail(
          .usage, "an argument is not UTF-8; only arguments of the command, after --, may be")
      }
      // The parser would print its help, and end with success, though no command was run.
      guard !words.isEmpty else { Console.fail(.usage, helpMessage()) }
      do {
        var command = try await asyncParseAsRoot(words)
        if var command = command as? any AsyncParsableCommand {
          try await command.run()
        } else {
          try command.run()
        }
      } catch {
        // The parser would not notice that its help cannot be written.
        if exitCode(for: error) == .success {
          Output.say(fullMessage(for: error))
        } else {
          fail(error, words)
        }
      }
    }
  }
#else
  /// The program `redis-lock` if the package is built without its trait.
  @main
  enum RedisLockCommand {
    static func main() {
      print("redis-lock was built without the CommandLineTool trait and does nothing.")
    }
  }
#endif
