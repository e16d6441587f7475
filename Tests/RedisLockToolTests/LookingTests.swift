#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("redis-lock status and release", .timeLimit(.minutes(2)))
  struct LookingTests {
    private func object(_ line: some StringProtocol) throws -> [String: Any] {
      try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    @Test(
      "Foreign data on the server neither ends the tool nor reaches the terminal unescaped"
    )
    func hostileData() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let client = RedisClient(server)
      let holder = try await ToolProcess.hold("held", on: server)
      let extremes = [String(Int64.min), String(Int64.max), "99999999999999999"]
      for time in extremes {
        for key in ["held", "free"] {
          let token = try client("GET", key).string ?? "token"
          try client(
            "HSET", "redis-lock:record:{\(key)}", "token", token, "from", time, "until", time,
            "ended",
            "exited", "status", "0", "fence", "1")
          let status = try await ToolProcess.run(["status", key], on: server)
          #expect(status.status == (key == "held" ? 0 : 1) && status.errors.isEmpty, "\(status)")
        }
      }
      let id = String(repeating: "a", count: 16)
      try client("SET", "forged", "rl1n:%1B%5B2J:12:x%0D%0Afree:\(id):1:\(id)", "PX", "60000")
      try client("SET", "a\u{1B}b", "rl1n:host:12:x:\(id):1:\(id)", "PX", "60000")
      for arguments in [["status", "forged"], ["list"], ["run", "-n", "forged", "--", "true"]] {
        let outcome = try await ToolProcess.run(arguments, on: server)
        for character in ["\u{1B}", "\r"] {
          #expect(!(outcome.output + outcome.errors).contains(character), "\(outcome)")
        }
      }
      let watch = try ToolProcess(["list", "--watch", "--json"], on: server)
      await until("all are watched") {
        watch.output.contains("a\\u001bb") && watch.output.contains("\"held\"")
      }
      watch.signal(SIGTERM)
      holder.signal(SIGTERM)
      _ = await (watch.outcome(), holder.outcome())
    }

    @Test("The status of a lock shows its holder, start, fencing token and waiters")
    func status() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let start = Date.now.addingTimeInterval(-2)
      let holder = try await ToolProcess.hold("key", on: server)
      let waiter = try ToolProcess(["run", "key", "--label", "other", "--", "true"], on: server)
      let client = RedisClient(server)
      await until("it waits") { try client("EXISTS", "redis-lock:queue:{key}").integer == 1 }

      let text = try await ToolProcess.run(["status", "key", "free"], on: server)
      #expect(text.status == 1)
      let fence = holder.output.trimmingCharacters(in: .whitespacesAndNewlines)
      let lines = text.output.split(separator: "\n")
      #expect(lines.count == 5)
      #expect(lines[0].hasPrefix("key: held by nightly on "))
      #expect(lines[0].contains("process \(holder.processID), since 20"))
      #expect(lines[1].contains("s left"))
      #expect(lines[1].hasSuffix("fencing token \(fence)"))
      #expect(lines[2] == "  1 in the queue:")
      #expect(lines[3].hasPrefix("    other on ") && lines[3].hasSuffix("\(waiter.processID)"))
      #expect(lines[4] == "free: free")

      let json = try await ToolProcess.run(["status", "--json", "key", "free"], on: server)
      let objects = try json.output.split(separator: "\n").map { try object($0) }
      #expect(objects.count == 2)
      #expect(objects[0]["fencingToken"] as? UInt64 == UInt64(fence))
      #expect(objects[0]["waiterCount"] as? Int == 1)
      #expect((objects[0]["holder"] as? [String: Any])?["label"] as? String == "nightly")
      let since = try #require(
        (objects[0]["since"] as? String).flatMap { try? Date($0, strategy: .iso8601) })
      #expect(since > start && since < .now)
      #expect(objects[0]["state"] as? String == "held")
      #expect(objects[1].keys.sorted() == ["key", "state"])
    }

    @Test("The status shows the value of a foreign client without harm to the terminal")
    func foreign() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      _ = try RedisClient(server)("SET", "key", "\u{1B}[2Jtheirs\n")
      let outcome = try await ToolProcess.run(["status", "key"], on: server)
      #expect(!outcome.output.contains("\u{1B}"))
      #expect(outcome.output.contains("theirs") && outcome.output.contains("never expires"))
    }

    @Test("The status is printed repeatedly with --watch")
    func watch() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(["status", "--watch", "key"], on: server)
      await tool.waitUntilSaid("key: free\nkey: free\n")
      let holder = try await ToolProcess.hold("key", on: server)
      await tool.waitUntilSaid("key: held by nightly")
      tool.signal(SIGTERM)
      #expect(await tool.outcome().status == 128 + SIGTERM)
      withExtendedLifetime(holder) {}
    }

    @Test("To release another process's lock takes --force, and the message names its holder")
    func release() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let holder = try await ToolProcess.hold("key", on: server)
      let refused = try await ToolProcess.run(["release", "key"], on: server)
      #expect(refused.status == 1)
      #expect(refused.errors.contains("nightly on ") && refused.errors.contains("--force"))
      #expect(try RedisClient(server)("EXISTS", "key").integer == 1)
      let forced = try await ToolProcess.run(["release", "--force", "key"], on: server)
      #expect(forced.status == 0)
      #expect(forced.output.hasPrefix("key was held by nightly on "))
      #expect(try RedisClient(server)("EXISTS", "key").integer == 0)
      #expect(try await ToolProcess.run(["release", "key"], on: server).output == "key was free\n")
      withExtendedLifetime(holder) {}
    }

    @Test("A release recognizes the caller's own lock by its token")
    func releaseOwn() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await ToolProcess.run(
        ["run", "key", "-c", "'\(ToolProcess.path)' release key"], on: server)
      // The lock is gone when the command ends.
      #expect(outcome.output.hasPrefix("key was held by "))
      #expect(try server.keys().isEmpty)
    }

    @Test(
      "Keys with control characters are escaped, and keys that differ only in their bytes are shown apart"
    )
    func oddKeys() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let token = "rl1n:host:1:job:0123456789abcdef:1:0123456789abcdef"
      let client = RedisClient(server)
      for key in ["a\u{1B}[2Jb\n", "caf\u{E9}", "cafe\u{301}"] {
        _ = try client("SET", key, token, "PX", "100000")
      }
      let list = try await ToolProcess.run(["list"], on: server)
      #expect(list.output.split(separator: "\n").count == 3, "\(list.output)")
      #expect(!list.output.utf8.contains(0x1B))
      let status = try await ToolProcess.run(["status", "a\u{1B}[2Jb\n"], on: server)
      #expect(!status.output.utf8.contains(0x1B))
      #expect(status.output.hasPrefix("a\\u{1B}[2Jb\\n: held by job"), "\(status.output)")
      let json = try await ToolProcess.run(["list", "--json"], on: server)
      #expect(try json.output.split(separator: "\n").map { try object($0) }.count == 3)
      let release = try await ToolProcess.run(["release", "--force", "a\u{1B}[2Jb\n"], on: server)
      #expect(release.output.hasPrefix("a\\u{1B}[2Jb\\n was held by job"), "\(release.output)")
      let refused = try await ToolProcess.run(["release", "caf\u{E9}"], on: server)
      #expect(refused.status == 1 && !refused.errors.utf8.contains(0x1B))
    }

    @Test(
      "Output that cannot be written is an error",
      .enabled("There is no /dev/full.") { FileManager.default.fileExists(atPath: "/dev/full") },
      arguments: [["status", "key"], ["list"], ["doctor"], ["--help"], ["run", "--help"]])
    func fullOutput(arguments: [String]) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let token = "rl1n:host:1:job:0123456789abcdef:1:0123456789abcdef"
      _ = try RedisClient(server)("SET", "key", token, "PX", "100000")
      let script = #"REDIS_LOCK_URL=$1 exec "$0" \#(arguments.joined(separator: " ")) >/dev/full"#
      let tool = try ToolProcess([server.url], through: ["/bin/sh", "-c", script])
      let outcome = await tool.outcome()
      #expect(outcome.status == 74)
      #expect(outcome.errors.contains("cannot write"))
    }

    @Test(
      "A closed output is an error, and never becomes the socket of the server",
      arguments: [
        ["status", "key"], ["list"], ["doctor"], ["--help"], ["status", "--watch", "key"],
      ])
    func closedOutput(arguments: [String]) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let token = "rl1n:host:1:job:0123456789abcdef:1:0123456789abcdef"
      _ = try RedisClient(server)("SET", "key", token, "PX", "100000")
      let script = #"REDIS_LOCK_URL=$1 exec "$0" \#(arguments.joined(separator: " ")) <&- >&-"#
      let tool = try ToolProcess([server.url], through: ["/bin/sh", "-c", script])
      let outcome = await tool.outcome()
      #expect(outcome.status == 74)
      #expect(outcome.errors.contains("cannot write to the standard output: Bad file descriptor"))
    }

    @Test("A run with closed streams runs its command with closed streams, too")
    func closedStreams() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let script = #"""
        exec 7>&1
        export REDIS_LOCK_URL=$1
        look='for n in 0 1 2; do [ -e /dev/fd/$n ] && echo open $n; done >&7; exit 3'
        "$0" run -v key -c "$look" <&- >&- 2>&-
        echo $?
        """#
      let tool = try ToolProcess([server.url], through: ["/bin/sh", "-c", script])
      let outcome = await tool.outcome()
      // The loop itself has an open output.
      #expect(outcome.output.split(separator: "\n").filter { $0 != "open 1" } == ["3"])
      #expect(try server.keys().isEmpty)
    }

    @Test("If the lock cannot be acquired, the run is silent with -q or if that counts as success")
    func silentConflict() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      _ = try RedisClient(server)("SET", "key", "theirs")
      for (options, status) in [(["-n", "-E", "0"], 0), (["-n", "-q"], 75)] as [([String], Int32)] {
        let outcome = try await ToolProcess.run(
          ["run"] + options + ["key", "--", "true"], on: server)
        #expect(outcome.status == status)
        #expect(outcome.errors.isEmpty)
      }
    }
  }
#endif
