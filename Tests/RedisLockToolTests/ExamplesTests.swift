#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("The examples for the command line", .timeLimit(.minutes(5)))
  struct ExamplesTests {
    private let examples = URL(filePath: #filePath).appending(path: "../../../Examples/CommandLine")
      .standardized

    private func text(_ name: String) throws -> String {
      try String(contentsOf: examples.appending(path: name), encoding: .utf8)
    }

    /// A folder of programs that are found before all others.
    private func makePrograms(_ programs: [String: String]) throws -> TemporaryFolder {
      let folder = try TemporaryFolder()
      let tool = "exec '\(ToolProcess.path)' \"$@\""
      for (name, script) in programs.merging(["redis-lock": tool], uniquingKeysWith: { $1 }) {
        _ = try folder.makeFile(name, "#!/bin/sh\n\(script)\n")
        try FileManager.default.setAttributes(
          [.posixPermissions: 0o755], ofItemAtPath: folder.path(name))
      }
      return folder
    }

    private func shell(
      _ script: String, with programs: TemporaryFolder, on server: RedisServer
    ) throws -> ToolProcess {
      let path = "export PATH='\(programs.url.path(percentEncoded: false))':\"$PATH\""
      return try ToolProcess([], on: server, through: ["/bin/sh", "-c", "\(path)\n\(script)"])
    }

    @Test("The example for cron runs its job once for all hosts")
    func crontab() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let line = try #require(try text("crontab").split(separator: "\n").last)
      let command = line.split(separator: " ", maxSplits: 6)[6]
        .replacing("/usr/local/bin/report", with: "report")
      let programs = try makePrograms(["report": "echo reported"])
      let hosts = try (0..<5).map { _ in try shell(String(command), with: programs, on: server) }
      var outputs: [String] = []
      for host in hosts {
        let outcome = await host.outcome()
        // Cron would send a mail with them, from each host.
        #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
        outputs.append(outcome.output)
      }
      #expect(outputs.filter { $0 == "reported\n" }.count == 1)
    }

    @Test(
      "The example for containers runs its job once, as the first process, and stops it",
      .enabled("Only root can make a container.") { Container.canRun && Nobody.canRun })
    func container() async throws {
      let server = try RedisServer(listen: .tcp)
      defer { server.stop() }
      let lines = try text("Containerfile").split(separator: "\n")
      func value(_ name: String) -> Substring? {
        lines.first { $0.hasPrefix(name) }?.dropFirst(name.count)
      }
      func words(_ name: String) throws -> [String] {
        let text = try #require(value(name + " "))
        return try JSONDecoder().decode([String].self, from: Data(text.utf8))
      }
      let programs = try makePrograms([
        "report": "trap 'echo stopped; exit 3' TERM; echo reported; while :; do sleep 0.02; done"
      ])
      // The path at which the engine mounts the secret.
      _ = try programs.makeFile("redis-lock-url", server.url + "\n")
      let secret = try #require(value("ENV REDIS_LOCK_URL_FILE="))
        .replacing("/run/secrets", with: programs.url.path(percentEncoded: false))
      let command = try (words("ENTRYPOINT") + words("CMD")).map { word in
        "'\(word.replacing("/usr/local/bin/report", with: "report"))'"
      }
      let engine = (Container.command + Nobody.command)
        .joined(separator: " ")
      let script = """
        unset REDIS_LOCK_URL; export REDIS_LOCK_URL_FILE='\(secret)'
        exec \(engine) \(command.joined(separator: " "))
        """
      let first = try shell(script, with: programs, on: server)
      await first.waitUntilSaid("reported")
      for _ in 0..<2 {
        let other = await (try shell(script, with: programs, on: server)).outcome()
        #expect(other.status == 0 && other.output.isEmpty && other.errors.isEmpty, "\(other)")
      }
      kill(try await Container.firstProcess(of: first), SIGTERM)
      let outcome = await first.outcome()
      #expect(outcome.status == 3 && outcome.output == "reported\nstopped\n", "\(outcome)")
    }

    @Test("The example for timers runs its job once, and the other hosts end with 75")
    func timer() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let unit = try text("report.service")
      let line = try #require(
        unit.split(separator: "\n").first { $0.hasPrefix("ExecStart=/usr/bin/") })
      let programs = try makePrograms(["report": "echo reported"])
      // The folder where systemd puts the file of LoadCredential.
      _ = try programs.makeFile("url", server.url + "\n")
      let command = line.dropFirst("ExecStart=/usr/bin/".count).replacing("%H", with: "host")
        .replacing("%d", with: programs.url.path(percentEncoded: false))
        .replacing("/usr/local/bin/report", with: "report")
      let hosts = try (0..<3).map { _ in try shell(String(command), with: programs, on: server) }
      var statuses: [Int32] = []
      for host in hosts { statuses.append(await host.outcome().status) }
      #expect(statuses.sorted() == [0, 75, 75])
    }

    @Test("The example deploys to one host after another, even if it is started twice")
    func rollingDeploy() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let programs = try makePrograms([
        "ssh": "echo \"$(basename \"$0\") $*\" >>\"$LOG\"; sleep 0.05"
      ])
      _ = try programs.makeFile("log")
      let script = examples.appending(path: "rolling-deploy").path(percentEncoded: false)
      let deploys = try ["1.1", "1.2"].map { version in
        try shell(
          "export LOG='\(programs.path("log"))'; exec '\(script)' \(version) a b", with: programs,
          on: server)
      }
      for deploy in deploys { #expect(await deploy.outcome().status == 0) }
      let lines = programs.read("log").split(separator: "\n").map(String.init)
      func commands(_ version: String) -> [String] {
        [
          "ssh a deploy-locally \(version)", "ssh a wait-until-healthy",
          "ssh b deploy-locally \(version)", "ssh b wait-until-healthy",
        ]
      }
      #expect(
        lines == commands("1.1") + commands("1.2") || lines == commands("1.2") + commands("1.1"))
    }

    @Test("The example migrates a database with the fencing token")
    func migrate() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      // The behaviour of PostgreSQL itself was tried by hand.
      let programs = try makePrograms(["psql": "echo \"$@\""])
      let script = examples.appending(path: "migrate").path(percentEncoded: false)
      let outcome = try await shell("exec '\(script)' app", with: programs, on: server).outcome()
      #expect(outcome.status == 0)
      let fence = try #require(
        outcome.output.firstMatch(of: /--set fence=([0-9]+) --file .*migrate\.sql/))
      #expect(UInt64(fence.1) ?? 0 > 0)
    }
  }
#endif
