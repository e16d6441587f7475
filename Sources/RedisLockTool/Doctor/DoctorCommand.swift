#if CommandLineTool
  import ArgumentParser
  import AsyncRedisLock

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// Reports problems of a server that is used for locks.
  struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "doctor", abstract: "Check whether this server is fit for locks.",
      discussion: """
        Of several servers, each is checked, whether all are independent, and how many may fail. \
        Exit status: 0, also with warnings; 1 if locks do not work; 69 if the server, or a majority of several, \
        cannot be reached, 77 if it refuses the login.
        """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print JSON, one object per line for each finding.")
    var json = false

    @Argument(help: "The prefix of the keys that the user may lock, if its ACL allows only some.")
    var prefix = "redis-lock-doctor:"

    func run() async throws {
      await ToolFailure.reported(by: Console(level: .warning, isJSON: false)) {
        let servers = try connection.servers()
        // A random key that no client locks, for it will be deleted.
        let key = prefix + String(UInt64.random(in: .min ... .max), radix: 36)
        guard !servers.isQuorum else {
          let (findings, status) = try await examine(quorum: servers, key: key)
          try say(findings)
          return status
        }
        let configuration = servers.configurations[0]
        let locker = try await Servers.connect(configuration)
        let findings = try await examine(locker, configuration, key: key)
        try say(findings)
        await locker.close()
        return Self.status(of: findings)
      }
    }

    private func say(_ findings: [Finding]) throws {
      for finding in findings {
        Output.say(json ? try JSONEncoder.forTool.line(finding) : finding.line)
      }
    }

    /// The exit status, by what was found.
    static func status(of findings: [Finding]) -> Int32 {
      findings.contains { $0.level == .problem } ? ToolStatus.problem.rawValue : 0
    }

    private func examine(
      _ locker: Locker, _ configuration: LockerConfiguration, key: String
    ) async throws -> [Finding] {
      let replies = try await locker.ask([["INFO"], ["CONFIG", "GET", "save"]])
      var findings: [Finding] = []
      var information: ServerInformation?
      if case .string(let text) = replies[0] {
        let server = ServerInformation(text)
        findings += server.findings(
          saves: Self.saves(replies[1]), acknowledgements: configuration.replicaAcknowledgements)
        information = server
      } else {
        findings.append(
          Finding(
            .warning, "server", "\(replies[0].refusalOfInfo), so several checks were skipped"))
      }
      findings += await examineOne(locker, configuration, information, key: key)
      // If a command is missing, the trial's key could stay.
      let isHopeless = findings.contains {
        $0.level == .problem && ["disabled", "permissions"].contains($0.subject)
      }
      if !isHopeless {
        findings.append(await trial(locker, key: key))
      }
      return findings
    }

    /// What is to be found on any server, and on those around it.
    func examineOne(
      _ locker: Locker, _ configuration: LockerConfiguration, _ information: ServerInformation?,
      key: String
    ) async -> [Finding] {
      var findings = await examining("round trip") { [try await timing(locker)] }
      findings += await examining("clock") { try await clock(locker) }
      findings += await examining("servers") {
        try await examineServers(of: configuration, locker, information)
      }
      findings += await examining("expiry") { try await endless(locker) }
      findings += await examining("fencing") { try await fencing(locker, of: key) }
      findings += await examining("permissions") {
        let permissions = Permissions(
          key: key, prefix: prefix, ownPrefix: locker.keyPrefix, isInCluster: locker.isInCluster)
        // On a replica, or out of memory, the result says it all.
        let answers = try await locker.ask(permissions.trials.map(\.words))
        return permissions.findings(answers, isTold: await locker.canBeTold())
      }
      return findings
    }

    /// The findings of a check: if it cannot be made, that is one, and the others still count.
    private func examining(
      _ subject: String, _ check: () async throws -> [Finding]
    ) async -> [Finding] {
      do { return try await check() } catch { return [Finding(.problem, subject, "\(error)")] }
    }

    /// Whether the server takes snapshots; nil if it does not say.
    private static func saves(_ reply: Reply) -> Bool? {
      guard case .array(let fields) = reply, fields.count == 2 else { return nil }
      return fields[1] != .string("")
    }

    /// Whether fencing tokens can be drawn.
    private func fencing(_ locker: Locker, of key: String) async throws -> [Finding] {
      guard let counter = locker.fenceCounter(of: key) else { return [] }
      guard
        case .string(let digits)? = try await locker.ask([["GETRANGE", counter, "0", "20"]]).first,
        let number = UInt64(digits), number >= UInt64.largestFencingToken
      else { return [] }
      return [
        Finding(
          .problem, "fencing",
          "the counter \(counter) is at \(number), and no token above 2^53 - 1 can be drawn: "
            + "delete it while no lock is held, and reset every check that remembers the largest token"
        )
      ]
    }

    /// Whether the server's clock, which tells since when a lock is held, agrees with this host's clock.
    private func clock(_ locker: Locker) async throws -> [Finding] {
      guard let ahead = try await secondsAhead(locker) else { return [] }
      guard abs(ahead) >= 1 else { return [Finding(.fine, "clock", "the same as this host's")] }
      let size = Duration.seconds(abs(ahead)).rounded.text
      return [
        Finding(
          .warning, "clock",
          "\(size) \(ahead > 0 ? "ahead of" : "behind") this host's: locks do not depend on it, but the times in status do"
        )
      ]
    }

    /// How many seconds the server's clock is ahead of this host's; nil if it does not tell.
    func secondsAhead(_ locker: Locker) async throws -> Double? {
      let before = Date.now
      guard let time = try await locker.serverTime() else { return nil }
      let middle = before.addingTimeInterval(Date.now.timeIntervalSince(before) / 2)
      return Date(milliseconds: time).timeIntervalSince(middle)
    }

    /// Finds keys below the prefix that never expire: their holders may be gone for good.
    private func endless(_ locker: Locker) async throws -> [Finding] {
      var endless: [String] = []
      let walk = KeyWalk(pattern: KeyWalk.pattern(forPrefix: prefix), locker: locker)
      do {
        try await walk.run { keys in
          endless += keys.filter { $0.milliseconds == -1 }.map(\.shown)
        }
      } catch let error as LockError where error.code == .refused {
        // A user that may not list keys can still lock them all.
        return []
      }
      guard !endless.isEmpty else { return [] }
      let names = endless.sorted().prefix(3).joined(separator: ", ")
      return [
        Finding(
          .warning, "expiry",
          "\(endless.count) of the keys that begin with \(prefix.safeToShow) never expire (\(names)): if its holder dies, such a lock is never released; see redis-lock release --force"
        )
      ]
    }

    private func timing(_ locker: Locker) async throws -> Finding {
      var times: [Duration] = []
      for _ in 0..<20 {
        let start = ContinuousClock.now
        _ = try await locker.ask([["TIME"]])
        times.append(start.duration(to: .now))
      }
      return Self.finding(on: times)
    }

    /// The finding about round trips of these durations.
    static func finding(on times: [Duration]) -> Finding {
      let times = times.sorted()
      let (median, longest) = (times[times.count / 2], times[times.count - 1])
      let text = "\(milliseconds(median)), the longest of \(times.count) \(milliseconds(longest))"
      guard median > .milliseconds(50) else { return Finding(.fine, "round trip", text) }
      return Finding(.warning, "round trip", text + ": choose a ttl many times longer")
    }

    private static func milliseconds(_ duration: Duration) -> String {
      "\((duration / .microseconds(10)).rounded() / 100) ms"
    }

    /// Takes a lock and gives it back.
    func trial(
      _ locker: Locker, key: String, extension ttl: Duration = .seconds(5)
    ) async -> Finding {
      do {
        guard let lock = try await locker.acquireIfAvailable(key) else {
          return Finding(.problem, "trial", "a new random key is already held")
        }
        try await lock.extend(by: ttl)
        let outcome = try await lock.release()
        guard outcome == .released else {
          return Finding(.problem, "trial", "a lock was gone before it was released")
        }
        return Finding(.fine, "trial", "a lock was taken, extended and released")
      } catch {
        return Finding(.problem, "trial", "\(error)")
      }
    }
  }
#endif
