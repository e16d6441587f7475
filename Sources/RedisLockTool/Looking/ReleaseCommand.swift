#if CommandLineTool
  import ArgumentParser
  import AsyncRedisLock

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// Takes a lock away from its holder.
  struct ReleaseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "release", abstract: "Release a lock, and say who held it.",
      discussion: """
        Without --force only a lock is freed whose token is given, or stands in REDIS_LOCK_TOKEN. Until the former \
        holder notices, two may believe that they hold the lock: force it only if the holder is known to be gone. \
        Exit status: 0, also for a key that is free; 1 if it is another's; 69, 77 as for run.
        """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Release the lock even if another client holds it.")
    var force = false

    @Option(help: "The token of the lock. (default: REDIS_LOCK_TOKEN)")
    var token: String?

    @Argument(help: "The key to release.", completion: LockNames.completion)
    var key: String

    func run() async throws {
      let console = Console(level: .warning, isJSON: false)
      await ToolFailure.reported(by: console) {
        let locker = try await connection.connect()
        guard let holder = try await locker.inspect(key)?.holder else {
          Output.say("\(key.safeToShow) was free")
          return 0
        }
        if force {
          // Another client may have it by now.
          let former = try await locker.forceRelease(key) ?? holder
          Output.say("\(key.safeToShow) was held by \(former)")
          return 0
        }
        let own = token ?? ProcessInfo.processInfo.environment["REDIS_LOCK_TOKEN"]
        guard own == holder.value else {
          throw ToolFailure(
            .problem, "\(key.safeToShow) is held by \(holder); only --force releases it")
        }
        let check = DetachedLock(keys: [key], token: holder.value, fencingToken: nil)
        try await locker.adopt(check).release()
        Output.say("\(key.safeToShow) was held by \(holder)")
        return 0
      }
    }
  }
#endif
