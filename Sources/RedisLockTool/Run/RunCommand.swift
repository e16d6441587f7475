#if CommandLineTool
  import ArgumentParser
  import AsyncRedisLock

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// Runs a command under a lock.
  struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "run",
      abstract: "Run a command under a lock.",
      usage: """
        redis-lock run [<options>] <key> ... -- <command> [<argument> ...]
        redis-lock run [<options>] <key> ... -c <string>
        """,
      discussion: """
        Waits for the lock, runs the command, and releases the lock. The lock is extended while the command \
        runs. If the lock is lost anyway, the command gets SIGTERM, and SIGKILL before another client can \
        hold the lock. The command finds REDIS_LOCK_KEY, REDIS_LOCK_TOKEN and REDIS_LOCK_FENCE in its \
        environment. Durations are written like 500ms, 30s, 5m, 2h or 7d.

        Exit status: that of the command, or 128 and its signal's number;
          64  bad usage
          69  the server cannot be reached
          71  the system lacks threads, processes, open files or /proc
          74  the output could not be written
          75  the lock could not be acquired in time; see also -E
          76  the lock was lost before the command ended
          77  the server refused, for instance the login
          126 the command could not be started
          127 the command was not found
        """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var messages: MessageOptions

    @Option(help: "How long the lock can outlive this process.")
    var ttl = DurationArgument(.seconds(30))

    @Option(
      help: "How often the lock is extended, at least every 3s. (default: a third of the ttl)")
    var extend: DurationArgument?

    @Option(
      name: [.customShort("w"), .long],
      help: "How long to wait for the lock. (default: for ever)")
    var wait: DurationArgument?

    @Flag(name: [.customShort("n"), .long], help: "Do not wait for the lock.")
    var noWait = false

    @Option(
      help: "The shortest time that the lock is held, even if the command ends sooner.")
    var minHold: DurationArgument?

    @Option(help: "How long the command may run; after that the lock counts as lost.")
    var maxHold: DurationArgument?

    @Option(
      help:
        "The time between SIGTERM and SIGKILL when the lock is lost. (default: 5s, or less with a short --ttl or --max-hold)"
    )
    var grace: DurationArgument?

    @Option(
      help:
        "How many replicas have to confirm the lock and each extension. (default: the URL's replica_acknowledgements, or 0)"
    )
    var replicaAcknowledgements: Int?

    @Option(
      help: "How long the server keeps a record of this run, for status and list; 0 for none.")
    var recordFor = DurationArgument(.seconds(7 * 86_400))

    @Option(
      help:
        "A label stored with the lock and shown by status and list. (default: the command's name)")
    var label: String?

    @Option(
      name: [.customShort("E"), .long],
      help: "The exit status when the lock is not acquired, instead of 75.")
    var conflictExitCode: UInt8?

    @Option(name: [.customShort("c"), .customLong("command")], help: "A command for /bin/sh.")
    var shellCommand: String?

    @Argument(help: "The keys to lock, all or none.", completion: LockNames.completion)
    var keys: [String]

    /// The command; the parser does not see the words behind `--`.
    private var command: CommandLineWords { shellCommand.map { .shell($0) } ?? .behindTerminator }

    func validate() throws {
      if CommandLineWords.hasCommand == (shellCommand != nil) {
        let hint =
          keys.count > 1 && shellCommand == nil
          ? " Did you mean: redis-lock run \(keys[0]) -- \(keys[1])\(keys.count > 2 ? " …" : "")"
          : ""
        throw ValidationError("A command is needed, either after -- or with -c.\(hint)")
      }
      if wait != nil && noWait {
        throw ValidationError("--wait and --no-wait cannot both be given.")
      }
      do throws(LockError) {
        _ = try LockKeys(keys)
        try options.validate()
      } catch {
        throw ValidationError(error.message)
      }
      if let replicaAcknowledgements, !(0...100).contains(replicaAcknowledgements) {
        throw ValidationError(
          "--replica-acknowledgements (\(replicaAcknowledgements)) must be from 0 to 100.")
      }
      if recordFor.duration > .seconds(366 * 86_400) {
        throw ValidationError("--record-for (\(recordFor.duration.text)) must be at most 366d.")
      }
      if let grace {
        let longest = LossPlan.longestGrace(ttl: ttl.duration, extend: interval)
        guard grace.duration <= longest else {
          throw ValidationError(
            "--grace (\(grace.duration.text)) must be at most half of ttl - extend (\(longest.text))."
          )
        }
        if let maxHold, grace.duration >= maxHold.duration {
          throw ValidationError(
            "--grace (\(grace.duration.text)) must be shorter than --max-hold (\(maxHold.duration.text))."
          )
        }
      }
    }

    private var waits: Bool { !noWait && wait?.duration != .zero }

    /// Short even if the ttl is long: a lock that another client has taken away is noticed within seconds.
    private var interval: Duration { min(extend?.duration ?? ttl.duration / 3, .seconds(3)) }

    /// With `--max-hold`, most of that is the command's before it is asked to end.
    private var usualGrace: Duration { min(.seconds(5), (maxHold?.duration ?? .seconds(25)) / 5) }

    private var options: LockOptions {
      LockOptions(
        timeout: waits ? wait?.duration : nil, ttl: ttl.duration, extend: interval,
        minHold: minHold?.duration ?? .zero, maxHold: maxHold?.duration, label: effectiveLabel)
    }

    /// The label given, or the name of the command.
    ///
    /// All users of the server see it. So nothing is taken from a shell command that begins with more than a
    /// plain name, such as `PASSWORD=…`.
    private var effectiveLabel: String? {
      if let label { return label }
      let word =
        shellCommand.map { $0.drop(while: \.isWhitespace).prefix { !$0.isWhitespace } }
        .map { $0.allSatisfy(Self.isPlain) ? String($0) : "sh" } ?? command.name
      let name = URL(filePath: word).lastPathComponent
      let plain = name.filter { $0.isASCII && !$0.isWhitespace && $0 >= " " && $0 != "\u{7F}" }
      return plain.isEmpty ? nil : String(plain.prefix(64))
    }

    /// Whether a character has no meaning of its own for a shell.
    private static func isPlain(_ character: Character) -> Bool {
      character.isASCII
        && (character.isLetter || character.isNumber || "/._-+@".contains(character))
    }

    func run() async throws {
      let order = Supervisor.Order(
        keys: keys, command: command,
        options: options, waits: waits,
        grace: grace?.duration ?? usualGrace, recordFor: recordFor.duration,
        acknowledgements: replicaAcknowledgements)
      let console = messages.console
      let supervisor = Supervisor(order, console: console)
      await ToolFailure.reported(
        by: console, conflict: conflictExitCode, fields: ["key": .text(order.list)],
        signal: { supervisor.endingSignal }
      ) {
        try await supervisor.run(on: connection)
      }
    }
  }
#endif
