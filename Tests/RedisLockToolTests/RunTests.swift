#if CommandLineTool
  import FaultProxy
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("redis-lock run", .timeLimit(.minutes(5)))
  struct RunTests {
    @Test("A run tells the command about its lock, and passes on its input, output and status")
    func passesThrough() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let script =
        "echo $REDIS_LOCK_KEY; echo $REDIS_LOCK_TOKEN; echo $REDIS_LOCK_FENCE; cat; echo no >&2; exit 3"
      let outcome = try await ToolProcess.run(
        ["run", "one", "two", "--label", "nightly", "--", "sh", "-c", script], on: server,
        input: "given\n")
      #expect(outcome.status == 3)
      let lines = outcome.output.split(separator: "\n").map(String.init)
      #expect(lines.count == 4)
      #expect(lines.first == "one two" && lines.last == "given")
      #expect(lines.dropFirst().first?.contains(":nightly:") == true)
      #expect(lines.dropFirst(2).first.flatMap { UInt64($0) } != nil)
      #expect(outcome.errors == "no\n")
      #expect(try server.keys().isEmpty)
    }

    @Test("A run holds the key while the command runs, extends it, and records its holder")
    func holds() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let tool = try ToolProcess(
        [
          "run", "key", "--ttl", "600ms", "--", "sh", "-c",
          "echo ready; sleep 1.5; echo $REDIS_LOCK_TOKEN",
        ],
        on: server)
      await tool.waitUntilSaid("ready")
      let client = RedisClient(server)
      let token = try client("GET", "key").string
      let record = "redis-lock:record:{key}"
      await until("there is a record") { try client("EXISTS", record).integer == 1 }
      while tool.isRunning, tool.output == "ready\n" {
        #expect(try client("GET", "key").string == token)
        try await Task.sleep(for: .milliseconds(50))
      }
      #expect(await tool.outcome().output == "ready\n\(token ?? "")\n")
      #expect(try server.keys().isEmpty)
    }

    @Test("A run of fifty processes loses no update")
    func fifty() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let folder = try TemporaryFolder()
      _ = try folder.makeFile("count", "0\n")
      let file = folder.path("count")
      let script = "n=$(cat '\(file)'); sleep 0.01; echo $((n + 1)) >'\(file)'"
      let tools = try (0..<50).map { _ in
        try ToolProcess(["run", "count", "-c", script], on: server)
      }
      for tool in tools { #expect(await tool.outcome().status == 0) }
      #expect(folder.read("count") == "50\n")
      #expect(try server.keys().isEmpty)
    }

    @Test("Hundreds of runs in a row leave nothing behind")
    func hundreds() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let script =
        "i=0; while [ $i -lt 300 ]; do \"$0\" run key -- true || exit 9; i=$((i + 1)); done"
      let loop = try ToolProcess([], on: server, through: ["/bin/sh", "-c", script])
      let limit = ContinuousClock.now + .seconds(240)
      while loop.isRunning, ContinuousClock.now < limit {
        try await Task.sleep(for: .milliseconds(50))
      }
      #expect(await loop.outcome().status == 0)
      #expect(try server.keys().isEmpty)
      let client = RedisClient(server)
      #expect(try client("PUBSUB", "CHANNELS").array?.isEmpty == true)
      let clients = try client("CLIENT", "LIST").string ?? ""
      #expect(!clients.contains("name=redis-lock"))
    }

    // MARK: Runs without the lock

    @Test(
      "If a run cannot acquire the lock in time, it ends with 75 or the given status",
      .timeLimit(.minutes(1)))
    func notAcquired() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      _ = try RedisClient(server)("SET", "key", "theirs", "PX", "60000")
      let attempts = [
        ["-n"], ["--no-wait"], ["-w", "200ms"], ["--wait", "0.2"], ["--wait", "0s"],
      ]
      for attempt in attempts {
        let outcome = try await ToolProcess.run(
          ["run", "key"] + attempt + ["--", "echo", "no"], on: server)
        #expect(outcome.status == 75, "\(attempt)")
        #expect(outcome.output.isEmpty)
        #expect(outcome.errors.contains(" redis-lock: ") && outcome.errors.contains("key"))
      }
      let quiet = try await ToolProcess.run(
        ["run", "-n", "-E", "0", "-q", "key", "--", "echo", "no"], on: server)
      #expect(quiet.status == 0)
      #expect(try server.keys() == ["key"])
    }

    @Test("A run with --no-wait requests the lock once, and then only asks for its holder")
    func oneRoundTrip() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      _ = try RedisClient(server)("SET", "key", "theirs", "PX", "60000")
      let proxy = try FaultProxy(to: server)
      defer { proxy.stop() }
      let outcome = try await ToolProcess.run(["run", "-n", "key", "--", "true"], url: proxy.url)
      #expect(outcome.status == 75)
      var splitter = MessageSplitter()
      splitter.feed(proxy.received(.requests, on: 0))
      var names: [String] = []
      while let message = splitter.next() { names.append(MessageSplitter.words(of: message)[0]) }
      let asking = ["SET", "INCR", "GETRANGE"]
      let asked = names.filter { asking.contains($0) }
      #expect(asked == asking)
      // The login, a trial of the commands, a read of the key, the record, and the time.
      let looking = ["HELLO", "CLIENT", "EVALSHA", "EVAL", "HGET", "TIME"]
      #expect(names.allSatisfy { (asking + looking).contains($0) }, "\(names)")
    }

    @Test("A command has the same nice value with and without a run around it")
    func nice() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let script = #"nice; "$0" run key -- nice; nice -n 5 "$0" run key -- nice"#
      let tool = try ToolProcess([], on: server, through: ["/bin/sh", "-c", script])
      let values = await tool.outcome().output.split(separator: "\n").compactMap { Int($0) }
      #expect(
        values.count == 3 && values[1] == values[0] && values[2] == values[0] + 5, "\(values)")
    }

    @Test("A run ends with 69 without a server, and with 77 if the server refuses")
    func servers() async throws {
      let server = try RedisServer(arguments: ["--requirepass", "right"], listen: .tcp)
      defer { server.stop() }
      let port = try #require(server.port)
      let wrong = try await ToolProcess.run(
        ["run", "key", "--", "true"], url: "redis://:marker-of-the-test@127.0.0.1:\(port)")
      #expect(wrong.status == 77)
      #expect(!wrong.errors.contains("marker-of-the-test"))
      let admin = try await ToolProcess.run(
        ["run", "--url", "redis://:right@127.0.0.1:\(port)", "key", "--", "true"])
      #expect(admin.status == 0)
      server.stop()
      let gone = try await ToolProcess.run(
        ["run", "key", "--", "true"], url: "redis://:marker-of-the-test@127.0.0.1:\(port)")
      #expect(gone.status == 69)
      #expect(!gone.errors.contains("marker-of-the-test"))
    }

    // MARK: The command

    @Test("If a command cannot be started, the run ends with 126 or 127 and releases the lock")
    func cannotStart() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      #expect(
        try await ToolProcess.run(["run", "key", "--", "/dev/null"], on: server).status == 126)
      let outcome = try await ToolProcess.run(["run", "key", "--", "no-such-command"], on: server)
      #expect(outcome.status == 127)
      #expect(
        outcome.errors.hasSuffix(
          " redis-lock: cannot run no-such-command: No such file or directory\n"))
      #expect(try server.keys().isEmpty)
    }

    @Test("A run keeps other processes out for --min-hold")
    func minHold() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await ToolProcess.run(
        ["run", "key", "--min-hold", "20s", "--", "true"], on: server)
      #expect(outcome.status == 0)
      let left = try #require(try RedisClient(server)("PTTL", "key").integer)
      #expect((15_000...20_000).contains(left))
      #expect(
        try await ToolProcess.run(["run", "-n", "key", "--", "true"], on: server).status == 75)
      #expect(try server.keys() == ["key"])
    }
  }
#endif
