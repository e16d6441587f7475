#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  @testable import AsyncRedisLock
  @testable import RedisLockTool

  @Suite("redis-lock with several servers", .timeLimit(.minutes(5)))
  struct QuorumToolTests {
    private let servers: [RedisServer]

    init() throws { servers = try (0..<3).map { _ in try RedisServer(listen: .tcp) } }

    private func stop() { for server in servers { server.stop() } }

    private var urls: String { servers.map(\.url).joined(separator: " ") }

    /// Arguments that name the servers, which were started just now.
    private var fresh: [String] {
      servers.flatMap { ["--url", $0.url] } + ["--restart-delay", "0"]
    }

    private func values(of key: String) throws -> [String?] {
      try servers.map { try RedisClient($0)("GET", key).string }
    }

    /// Starts a run that holds a key until it is told to end, and waits until it is recorded everywhere.
    private func hold(_ key: String, _ options: [String] = []) async throws -> ToolProcess {
      let tool = try ToolProcess(
        ["run", key] + fresh + options
          + ["-c", "echo $REDIS_LOCK_FENCE; exec sleep 100"])
      await until("the lock is held") { tool.output.hasSuffix("\n") }
      await until("it is recorded") {
        try servers.allSatisfy {
          try RedisClient($0)("EXISTS", "redis-lock:record:{\(key)}").integer == 1
        }
      }
      return tool
    }

    // MARK: Naming the servers

    @Test("Numbers of servers that make no quorum are refused with the rule")
    func counts() async throws {
      defer { stop() }
      func errors(_ count: Int) async throws -> String {
        let urls = (0..<count).flatMap { ["--url", "redis://:s3cret@127.0.0.1:\(2000 + $0)"] }
        let outcome = try await ToolProcess.run(["run", "key"] + urls + ["--", "echo", "ran"])
        #expect(outcome.status == (count == 1 ? 69 : 64) && outcome.output.isEmpty, "\(outcome)")
        #expect(!outcome.errors.contains("s3cret"))
        return outcome.errors
      }
      #expect(try await errors(1).contains("unreachable"))
      for count in [2, 4, 10] {
        #expect(
          try await errors(count).contains("an odd number of servers from 3 to 9, not \(count)"))
      }
      let none = try await ToolProcess.run(["status", "key"], url: " \n ")
      #expect(none.status == 64 && none.errors.contains("REDIS_LOCK_URL is empty"), "\(none)")
    }

    @Test("A bad URL among several is named by its number, and shows no password")
    func badURLs() async throws {
      defer { stop() }
      let good = servers.map(\.url)
      for (urls, reason) in [
        ([good[0], "redis://:s3cret@host:port", good[1]], "server 2"),
        (
          [good[0], good[1], good[0]],
          "server 3 of the quorum must not have the address of server 1"
        ),
        ([good[0], good[1], "redis+sentinel://:s3cret@h/locks"], "and neither sentinels nor"),
        (
          [good[0], good[1], good[2] + "?db=1"],
          "database of server 3 of the quorum must be the same"
        ),
      ] {
        let words = urls.flatMap { ["--url", $0] }
        for command in [
          ["status", "key"], ["doctor"], ["list"], ["run", "key", "-c", "echo ran"],
        ] {
          let outcome = try await ToolProcess.run(command + words)
          #expect(outcome.status == 64 && outcome.output.isEmpty, "\(outcome)")
          #expect(
            outcome.errors.contains(reason) && !outcome.errors.contains("s3cret"), "\(outcome)")
        }
      }
      let split = try await ToolProcess.run(["status", "key"], url: "redis://:s3 cret@host")
      #expect(split.status == 64 && !split.errors.contains("cret@"), "\(split)")
    }

    @Test("Options that do not fit several servers, or one, are refused with the rule")
    func options() async throws {
      defer { stop() }
      for (words, reason) in [
        (["--ttl", "1m"] + fresh.dropLast(2), "ttl (60 s) must be at most restartDelay (30 s)"),
        (["--replica-acknowledgements", "1"] + fresh, "must be 0 with several servers"),
        (["--url", servers[0].url, "--restart-delay", "1s"], "needs several servers"),
      ] as [([String], String)] {
        let outcome = try await ToolProcess.run(["run", "-n", "key"] + words + ["-c", "echo ran"])
        #expect(outcome.status == 64 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.errors.contains(reason), "\(outcome)")
      }
      let variable = try await ToolProcess(
        ["status", "key"], url: urls,
        through: ["/usr/bin/env", "REDIS_LOCK_RESTART_DELAY=soon"]
      ).outcome()
      #expect(variable.status == 64 && variable.errors.contains("REDIS_LOCK_RESTART_DELAY (soon)"))
    }

    @Test("Several servers are found in options, a variable and a file, and share a lock")
    func places() async throws {
      defer { stop() }
      let folder = try TemporaryFolder()
      _ = try folder.makeFile("urls", servers.map(\.url).joined(separator: "\n") + "\n")
      let holder = try await hold("key")
      let token = try #require(try values(of: "key")[0])
      await until("all have it") { try values(of: "key") == [token, token, token] }
      for (words, url) in [(fresh, ""), ([], urls), (["--url-file", folder.path("urls")], "")] {
        let status = try await ToolProcess.run(["status", "key"] + words, url: url)
        #expect(status.status == 0 && status.output.contains("key: held by"), "\(status)")
      }
      holder.signal(SIGTERM)
      #expect(await holder.outcome().status == 143)
    }

    // MARK: Working

    @Test("A run is seen on a majority, also while another server is dead or stands still")
    func looking() async throws {
      defer { stop() }
      let holder = try await hold("key", ["--label", "nightly"])
      let fence = holder.output.trimmingCharacters(in: .newlines)
      // A straggler that no majority has is no lock.
      _ = try RedisClient(servers[0])("SET", "stray", try #require(try values(of: "key")[0]))
      for outage in ["none", "dead", "stopped"] {
        if outage == "dead" { servers[2].kill() }
        if outage == "stopped" {
          try servers[2].restart()
          servers[2].pause()
        }
        let status = try await ToolProcess.run(["status", "--json", "key"] + fresh)
        #expect(status.status == 0, "\(outage): \(status)")
        #expect(status.output.contains("\"fencingToken\":\(fence)"), "\(outage): \(status)")
        #expect(status.output.contains("\"label\":\"nightly\""), "\(outage): \(status)")
        let list = try await ToolProcess.run(["list"] + fresh)
        #expect(list.status == 0 && list.output.contains("key: held by nightly"), "\(list)")
        if outage == "none" { #expect(!list.output.contains("stray"), "\(list)") }
        let other = try await ToolProcess.run(
          ["run", "-n", "key"] + fresh + ["--", "echo", "ran"])
        #expect(other.status == 75 && other.output.isEmpty, "\(outage): \(other)")
        let run = try await ToolProcess.run(["run", "free"] + fresh + ["--", "echo", "ran"])
        #expect(run.status == 0 && run.output == "ran\n", "\(outage): \(run)")
      }
      holder.signal(SIGTERM)
      #expect(await holder.outcome().status == 143)
      let last = try await ToolProcess.run(["status", "key"] + fresh)
      #expect(last.status == 1 && last.output.contains("last run by nightly"), "\(last)")
      servers[1].kill()
      for command in [["status", "key"], ["list"], ["release", "--force", "key"]] {
        let lost = try await ToolProcess.run(command + fresh)
        #expect(lost.status == 69 && lost.output.isEmpty, "\(lost)")
        #expect(lost.errors.contains("unreachable"), "\(lost)")
      }
    }

    @Test("A lock of several servers is released by force, and by its token")
    func releasing() async throws {
      defer { stop() }
      for isForced in [true, false] {
        let holder = try await hold("key", ["--ttl", "3s", "--extend", "200ms"])
        let token = try #require(try values(of: "key")[0])
        let refused = try await ToolProcess.run(["release", "key"] + fresh)
        #expect(refused.status == 1 && refused.errors.contains("only --force"), "\(refused)")
        let words = isForced ? ["--force"] : ["--token", token]
        let released = try await ToolProcess.run(["release", "key"] + words + fresh)
        #expect(released.status == 0 && released.output.contains("was held by"), "\(released)")
        #expect(await holder.outcome().status == 76)
        await until("no server has it") { try values(of: "key").allSatisfy { $0 != token } }
      }
    }

    @Test("A job goes on while a minority is away, and ends in time when the majority is lost")
    func majorityLost() async throws {
      defer { stop() }
      let holder = try await hold("key", ["--ttl", "3s", "--extend", "300ms"])
      let token = try values(of: "key")[0]
      servers[2].kill()
      // The key would have expired.
      let end = ContinuousClock.now + .seconds(4)
      await until("time has passed") { ContinuousClock.now > end }
      #expect(holder.isRunning && token != nil)
      #expect(try RedisClient(servers[0])("GET", "key").string == token)
      servers[1].pause()
      let paused = ContinuousClock.now
      let outcome = await holder.outcome()
      #expect(paused.duration(to: .now) < .seconds(6))
      #expect(outcome.status == 76, "\(outcome)")
      #expect(outcome.errors.contains("a majority of the servers could not be asked"), "\(outcome)")
      #expect(outcome.errors.contains("1 of 3 servers"), "\(outcome)")
    }

    @Test("Without a majority, a run waits for the servers as long as it may")
    func patience() async throws {
      defer { stop() }
      servers[1].kill()
      servers[2].kill()
      let run = ["run", "key"] + fresh
      let hasty = try await ToolProcess.run(run + ["-n", "--", "echo", "ran"])
      #expect(hasty.status == 69 && hasty.output.isEmpty, "\(hasty)")
      #expect(hasty.errors.contains("1 of 3 servers connected, 2 needed"), "\(hasty)")
      let patient = try ToolProcess(run + ["-w", "30s", "--", "echo", "ran"])
      await until("it waits") { patient.errors.contains("waiting for the server") }
      try servers[1].restart()
      let outcome = await patient.outcome()
      #expect(outcome.status == 0 && outcome.output == "ran\n", "\(outcome)")
    }

    // MARK: The doctor

    private typealias Diagnosis = (status: Int32, text: String, levels: [String: Set<String>])

    /// What the doctor finds, its levels by subject.
    private func diagnose(_ urls: [String], _ options: [String] = []) async throws -> Diagnosis {
      let outcome = try await ToolProcess.run(
        ["doctor", "--json"] + options + urls.flatMap { ["--url", $0] })
      var levels: [String: Set<String>] = [:]
      for line in outcome.output.split(separator: "\n") {
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String]
        levels[object?["subject"] ?? "", default: []].insert(object?["level"] ?? "")
      }
      return (outcome.status, outcome.output + outcome.errors, levels)
    }

    @Test("The doctor checks each server of a quorum, and says how many may fail")
    func doctor() async throws {
      defer { stop() }
      let all = servers.map(\.url)
      let young = try await diagnose(all)
      #expect(young.status == 1 && young.levels["start"] == ["warning"], "\(young)")
      #expect(young.levels["quorum"] == ["problem"] && young.levels["trial"] == nil, "\(young)")
      #expect(young.text.contains("2 of 3 servers have to agree, and 0 can: no lock"), "\(young)")

      let risky = try await diagnose(all, ["--restart-delay", "0"])
      #expect(risky.status == 0, "\(risky)")
      #expect(risky.levels["persistence"] == ["warning"] && risky.levels["start"] == nil)
      for subject in [
        "version", "role", "eviction", "round trip", "clock", "permissions", "independence",
        "clocks", "quorum", "trial",
      ] { #expect(risky.levels[subject] == ["fine"], "\(subject): \(risky)") }
      #expect(risky.text.contains("and 3 can: 1 may fail"), "\(risky)")
      for server in servers { #expect(risky.text.contains("127.0.0.1:\(server.port ?? 0)")) }

      for server in servers {
        try RedisClient(server)("CONFIG", "SET", "appendonly", "yes")
        try RedisClient(server)("CONFIG", "SET", "appendfsync", "always")
      }
      try RedisClient(servers[0])("CONFIG", "SET", "maxmemory", "1gb")
      try RedisClient(servers[0])("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
      let safe = try await diagnose(all, ["--restart-delay", "0"])
      #expect(safe.levels["persistence"] == ["fine"], "\(safe)")
      #expect(safe.levels["eviction"] == ["fine", "warning"], "\(safe)")

      servers[2].kill()
      let two = try await diagnose(all, ["--restart-delay", "0"])
      #expect(two.status == 0 && two.levels["server"] == ["warning"], "\(two)")
      #expect(two.levels["trial"] == ["fine"] && two.text.contains("and 2 can: none may fail"))
      servers[1].kill()
      let one = try await diagnose(all, ["--restart-delay", "0"])
      #expect(one.status == 69 && one.levels["quorum"] == ["problem"], "\(one)")
    }

    @Test("The doctor finds servers of a quorum that are the same, or depend on others")
    func dependent() async throws {
      defer { stop() }
      let (first, second) = (servers[0], servers[1])
      let twice = try await diagnose(
        [first.url, second.url, "redis://localhost:\(first.port ?? 0)"], ["--restart-delay", "0"])
      #expect(twice.status == 1 && twice.levels["independence"] == ["problem"], "\(twice)")
      #expect(
        twice.text.contains("localhost:\(first.port ?? 0) is the same server as 127.0.0.1"),
        "\(twice)")
      #expect(twice.text.contains("and 2 can: none may fail"), "\(twice)")

      try RedisClient(servers[2])("REPLICAOF", "127.0.0.1", "\(first.port ?? 0)")
      await until("the replica is in step") {
        try RedisClient(servers[2])("ROLE").array?[3].string == "connected"
      }
      let replica = try await diagnose(servers.map(\.url), ["--restart-delay", "0"])
      #expect(replica.status == 1, "\(replica)")
      #expect(replica.levels["role"] == ["fine", "warning", "problem"], "\(replica)")
      #expect(
        replica.text.contains("this is a replica of 127.0.0.1:\(first.port ?? 0)"), "\(replica)")
    }

    @Test("What servers of a quorum say about themselves is judged by the restart delay")
    func reports() {
      func findings(
        _ lines: String, _ fsync: Reply?, _ delay: Duration
      ) -> [String: Finding.Level] {
        var report = QuorumReport(name: "a")
        report.note(.string(lines), fsync, delay)
        return Dictionary(report.findings.map { ($0.subject, $0.level) }) { $1 }
      }
      let always = Reply.array([.string("appendfsync"), .string("always")])
      let everySecond = Reply.array([.string("appendfsync"), .string("everysec")])
      for (lines, fsync, delay, level) in [
        ("aof_enabled:1", always, 0, Finding.Level.fine),
        ("aof_enabled:1", everySecond, 0, .warning),
        ("aof_enabled:1", nil, 0, .warning), ("aof_enabled:0", always, 0, .warning),
        ("aof_enabled:0", always, 30, .fine), ("aof_enabled:1", everySecond, 30, .fine),
      ] as [(String, Reply?, Int, Finding.Level)] {
        #expect(
          findings(lines, fsync, .seconds(delay))["persistence"] == level, "\(lines) \(delay)")
      }
      let uptime = "uptime_in_seconds:30"
      #expect(findings(uptime, nil, .seconds(30))["start"] == .warning)
      #expect(findings(uptime, nil, .seconds(29))["start"] == nil)
      #expect(findings(uptime, nil, .zero)["start"] == nil)
      #expect(findings("role:master\r\ncluster_enabled:1", nil, .zero)["role"] == .problem)
      #expect(findings("uptime_in_seconds:-3600", nil, .seconds(30))["start"] == .warning)
    }

    @Test("If a server does not answer INFO, the doctor says why")
    func refusals() {
      for (message, reason) in [
        (
          "NOPERM this user has no permissions to run the 'info' command",
          "this user may not use INFO"
        ),
        ("BUSY Redis is busy", "the server refuses INFO (BUSY Redis is busy)"),
        ("ERR unknown command 'INFO'", "the server refuses INFO (ERR unknown command 'INFO')"),
      ] {
        var report = QuorumReport(name: "a")
        report.note(.error(ServerError(message: message)), nil, .zero)
        #expect(report.findings.map(\.level) == [.problem])
        #expect(report.findings.first?.text.hasPrefix(reason + ", without which") == true)
      }
    }

    @Test("Clocks of a quorum that differ are reported, with the two that differ most")
    func clocks() {
      var reports = ["a", "b", "c"].map { QuorumReport(name: $0) }
      for (index, ahead) in [0.2, -3.1, 0.9].enumerated() { reports[index].ahead = ahead }
      let found = QuorumReport.findings(on: reports, restartDelay: .zero)
      let clocks = found.first { $0.subject == "clocks" }
      #expect(clocks?.level == .warning)
      #expect(clocks?.text.hasPrefix("c is 4s ahead of b") == true, "\(found)")
    }
  }
#endif
