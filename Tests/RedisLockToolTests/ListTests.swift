#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  @testable import RedisLockTool

  @Suite("redis-lock list", .timeLimit(.minutes(2)))
  struct ListTests {
    /// A lock of this library whose holder does not exist.
    private let token = "rl1n:host:1:job:0123456789abcdef:1:0123456789abcdef"

    private func object(_ line: some StringProtocol) throws -> [String: Any] {
      try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    @Test("The list finds all locks among other keys, with a pattern or without")
    func list() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let client = RedisClient(server)
      for number in 0..<3000 { _ = try client("SET", "noise-\(number)", "x") }
      _ = try client("SET", "foreign", "uuid", "PX", "60000")
      _ = try client("RPUSH", "list", "a")
      let holders = try await [
        ToolProcess.hold("a-1", on: server), ToolProcess.hold("b-1", on: server),
      ]
      let all = try await ToolProcess.run(["list"], on: server)
      let names = all.output.split(separator: "\n").map { $0.prefix { $0 != ":" } }.sorted()
      #expect(names == ["a-1", "b-1"])
      #expect(all.output.contains("nightly on ") && all.output.contains("s left"))
      let some = try await ToolProcess.run(["list", "--json", "a*"], on: server)
      let lock = try object(some.output)
      #expect(lock["key"] as? String == "a-1")
      // Taken from the record of the run.
      let fence = holders[0].output.trimmingCharacters(in: .whitespacesAndNewlines)
      #expect(lock["fencingToken"] as? UInt64 == UInt64(fence) && lock["since"] is String)
      let foreign = try await ToolProcess.run(["list", "--foreign", "f*"], on: server)
      #expect(foreign.output.hasPrefix("foreign: held by \"uuid\", "))
      #expect(try await ToolProcess.run(["list", "nothing*"], on: server).output.isEmpty)
      withExtendedLifetime(holders) {}
    }

    @Test("JSON contains nothing that a terminal acts on", arguments: ["list", "status"])
    func escapes(command: String) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let key = "\u{9B}31m\u{7F}\u{202E}\u{2028}\u{E0041}é"
      try RedisClient(server)("SET", key, token, "PX", "100000")
      let json = try await ToolProcess.run([command, "--json", "--", key], on: server)
      #expect(try object(json.output)["key"] as? String == key)
      #expect(json.output.contains(#"\u009b31m\u007f\u202e\u2028\udb40\udc41é""#), "\(json)")
    }

    @Test("The list shows locks that never expire and, for a pattern, those of other clients")
    func neverExpire() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let client = RedisClient(server)
      try client("SET", "job:stuck", token)
      try client("SET", "job:fine", token, "PX", "100000")
      try client("SET", "job:foreign", "uuid")
      try client("SET", "data", "no lock")
      let list = try await ToolProcess.run(["list"], on: server)
      #expect(list.output.split(separator: "\n").count == 2)
      let stuck = list.output.split(separator: "\n").filter { $0.hasSuffix(", never expires") }
      #expect(stuck.count == 1 && stuck[0].hasPrefix("job:stuck: held by job on host"), "\(list)")
      let json = try await ToolProcess.run(["list", "--json", "job:stuck"], on: server)
      #expect(try object(json.output)["remaining"] == nil)

      let all = try await ToolProcess.run(["list", "--foreign"], on: server)
      #expect(!all.output.contains("data") && !all.output.contains("foreign"), "\(all.output)")
      let some = try await ToolProcess.run(["list", "--foreign", "job:*"], on: server)
      #expect(some.output.contains("job:foreign: held by \"uuid\", never expires\n"), "\(some)")

      let board = try ToolProcess(["list", "--watch"], on: server)
      await until("both are shown") { board.output.split(separator: "\n").count >= 3 }
      let lines = board.output.split(separator: "\n")
      #expect(lines.contains { $0.hasPrefix("job:stuck") && $0.contains("for ever") })
    }

    @Test("On demand, the list also shows free keys, and how their last runs have ended")
    func ended() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let client = RedisClient(server)
      let keys = ["done", "do}ne", "{d}one"]
      let run = try await ToolProcess.run(
        ["run"] + keys + ["--label", "nightly", "-c", "exit 3"], on: server)
      #expect(run.status == 3)
      let holder = try await ToolProcess.hold("held", on: server)
      // A hash that is no record, and the record of a key that another client has taken.
      try client("HSET", "redis-lock:record:other", "token", token)
      try client("COPY", "redis-lock:record:{done}", "redis-lock:record:{taken}")
      try client("SET", "taken", "theirs")

      let plain = try await ToolProcess.run(["list"], on: server)
      #expect(plain.output.split(separator: "\n").count == 1, "scripts rely on it: \(plain)")
      let all = try await ToolProcess.run(["list", "--ended"], on: server)
      let lines = all.output.split(separator: "\n")
      #expect(lines.count == 4 && lines[0].hasPrefix("held: held by nightly on "), "\(all)")
      for key in keys {
        let line = lines.first { $0.hasPrefix("\(key): free, last run by nightly on ") }
        #expect(line?.hasSuffix(", exit status 3") == true, "\(all)")
      }
      let json = try await ToolProcess.run(["list", "--ended", "--json", "{*"], on: server)
      let report = try object(json.output)
      #expect(report["key"] as? String == "{d}one" && report["state"] as? String == "free")
      #expect((report["lastRun"] as? [String: Any])?["exitStatus"] as? Int == 3)
      let some = try await ToolProcess.run(["list", "--ended", "do?ne"], on: server)
      #expect(some.output.hasPrefix("do}ne: free") && some.output.count { $0 == "\n" } == 1)

      let board = try ToolProcess(["list", "--ended", "--watch"], on: server)
      await until("a free key is shown") {
        board.output.split(separator: "\n").contains {
          $0.hasPrefix("done ") && $0.contains(" nightly on ") && $0.hasSuffix(" free")
        }
      }
      withExtendedLifetime(holder) {}
    }

    @Test("The list tells how long a lock's waiters have waited, also before anything looked")
    func longestWait() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let start = Date.now.addingTimeInterval(-2)
      let holder = try await ToolProcess.hold("key", on: server)
      let waiters = try (0..<2).map { _ in
        try ToolProcess(["run", "key", "--", "true"], on: server)
      }
      let client = RedisClient(server)
      await until("both wait") { try client("ZCARD", "redis-lock:queue:{key}").integer == 2 }
      let json = try await ToolProcess.run(["status", "--json", "key"], on: server)
      let parties = try #require(try object(json.output)["waiters"] as? [[String: Any]])
      #expect(parties.count == 2)
      for party in parties {
        let since = (party["since"] as? String).flatMap { try? Date($0, strategy: .iso8601) }
        let arrival = try #require(since)
        #expect(arrival > start && arrival <= .now)
      }
      // As if it had come three hours earlier.
      let token = try #require(parties[0]["value"] as? String)
      let past = Int64(Date.now.timeIntervalSince1970 * 1000) - 3 * 3_600_000
      try client("HSET", "redis-lock:entries:{key}", token + "@", String(past))
      let board = try ToolProcess(["list", "--watch"], on: server)
      await until("it is shown") {
        board.output.split(separator: "\n").contains {
          $0.hasPrefix("key ") && $0.firstMatch(of: /\ 2 +3h [0-9]+m$/) != nil
        }
      }
      waiters[1].signal(SIGTERM)
      holder.signal(SIGTERM)
      for waiter in waiters { _ = await waiter.outcome() }
      await until("nothing stays of it") { try server.keys().isEmpty }
    }

    @Test(
      "A text is cut by the columns that a terminal gives it",
      arguments: [
        ("nightly", 7, "nightly"), ("nightly", 6, "night…"), ("夜間バッチ", 10, "夜間バッチ"),
        ("夜間バッチ", 9, "夜間バッ…"), ("夜間バッチ", 8, "夜間バ…"), ("Jo\u{308}rg", 4, "Jo\u{308}rg"),
        ("🔒🔒🔒", 5, "🔒🔒…"), ("❤️❤️", 4, "❤️❤️"), ("한글 a", 6, "한글 a"), ("", 0, ""),
      ])
    func columns(text: String, most: Int, shown: String) {
      #expect(text.cut(toColumns: most) == shown)
      #expect(shown.columns <= most)
    }

    @Test("Every subcommand accepts operands behind --")
    func operandsBehindTerminator() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let client = RedisClient(server)
      for key in ["apple", "berry"] { _ = try client("SET", key, token, "PX", "100000") }
      let list = try await ToolProcess.run(["list", "--", "a*"], on: server)
      #expect(list.output.hasPrefix("apple: ") && !list.output.contains("berry"))
      let status = try await ToolProcess.run(["status", "--", "apple", "-v"], on: server)
      #expect(status.output.hasPrefix("apple: held") && status.output.hasSuffix("\n-v: free\n"))
      _ = try client("SET", "-v", "theirs")
      let doctor = try await ToolProcess.run(["doctor", "--", "-"], on: server)
      #expect(doctor.output.contains("1 of the keys that begin with - never expire"))
      let release = try await ToolProcess.run(["release", "--force", "--", "-v"], on: server)
      #expect(release.status == 0 && release.output.hasPrefix("-v was held by"))
      #expect(try server.keys() == ["apple", "berry"])
    }
  }
#endif
