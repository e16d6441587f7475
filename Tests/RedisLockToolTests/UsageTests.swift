#if CommandLineTool
  import AsyncRedisLock
  import Foundation
  import PrivateRedis
  import Testing

  @testable import RedisLockTool

  @Suite("The usage of redis-lock", .timeLimit(.minutes(2)))
  struct UsageTests {
    @Test(
      "A usage error prints the usage and ends with the status 64",
      arguments: [
        ["run"], ["run", "key"], ["run", "--", "true"], ["run", "key", "--"],
        ["run", "key", "-c", "true", "--", "true"], ["run", "key", "--ttl", "5x", "--", "true"],
        ["run", "key", "--ttl", "1ms", "--", "true"],
        ["run", "key", "--ttl", "1s", "--extend", "1s", "--", "true"],
        ["run", "key", "--ttl", "3s", "--grace", "2s", "--", "true"],
        ["run", "key", "--min-hold", "2s", "--max-hold", "1s", "--", "true"],
        ["run", "key", "--max-hold", "1s", "--grace", "1s", "--", "true"],
        ["run", "key", "-n", "-w", "1s", "--", "true"], ["run", "key", "-E", "256", "--", "true"],
        ["run", "", "--", "true"], ["run", "key", "--label", "a\nb", "--", "true"],
        ["run", "key", "-q", "-v", "--", "true"], ["run", "key", "--wait", "-1s", "--", "true"],
        ["run", "key", "--nonsense", "--", "true"], ["status"], ["release"], ["nonsense"],
        ["list", "a", "b"],
      ]
        // The longest accepted durations, in each place that takes one.
        + ["-w", "--ttl", "--max-hold", "--min-hold", "--grace", "--record-for"].map {
          ["run", "key", $0, "9999999999d", "--", "true"]
        })
    func errors(arguments: [String]) async throws {
      let outcome = try await ToolProcess.run(arguments)
      #expect(outcome.status == 64)
      #expect(outcome.output.isEmpty)
      let lines = outcome.errors.split(separator: "\n")
      #expect(lines.first?.hasPrefix("Error: ") == true)
      #expect(lines.contains { $0.hasPrefix("Usage: redis-lock") })
    }

    @Test(
      "Messages show no character that a terminal would act on",
      arguments: [
        ["run", "-v", "a\u{1B}[2J\u{9B}2J\u{202E}b", "--", "/no\u{1B}[2J\u{9B}2J\u{202E}ne"],
        ["run", "key", "--non\u{1B}[2J\u{9B}2J\u{202E}sense", "--", "true"],
      ])
    func unsafe(arguments: [String]) async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await ToolProcess.run(arguments, on: server)
      #expect([64, 127].contains(outcome.status))
      for character in ["\u{1B}", "\u{9B}", "\u{202E}"] {
        #expect(!outcome.errors.contains(character), "\(outcome.errors)")
      }
      #expect(outcome.errors.contains(#"\u{1B}[2J"#), "\(outcome.errors)")
    }

    @Test(
      "A malformed URL is a usage error, too",
      arguments: ["http://host", "redis://host:port"])
    func badURL(url: String) async throws {
      let outcome = try await ToolProcess.run(["run", "--url", url, "key", "--", "true"])
      #expect(outcome.status == 64)
      #expect(outcome.errors.contains(" redis-lock: invalidURL"))
    }

    @Test("The usage explains all statuses and is printed with --help")
    func help() async throws {
      let outcome = try await ToolProcess.run(["run", "--help"])
      #expect(outcome.status == 0)
      for status in ["64", "69", "75", "76", "77", "126", "127"] {
        #expect(outcome.output.contains("\n  \(status)"), "\(status)")
      }
      #expect(try await ToolProcess.run(["help"]).output.contains("doctor"))
      #expect(try await ToolProcess.run(["--version"]).output == "0.1.0\n")
    }

    @Test("Each shell gets a completion script", arguments: ["bash", "zsh", "fish"])
    func completions(shell: String) async throws {
      let outcome = try await ToolProcess.run(["--generate-completion-script", shell])
      #expect(outcome.status == 0)
      #expect(outcome.output.contains("doctor") && outcome.output.contains("no-wait"))
    }

    @Test(
      "Durations are accepted in the forms that people write",
      arguments: [
        ("500ms", Duration.milliseconds(500)), ("30s", .seconds(30)), ("1.5s", .milliseconds(1500)),
        ("5m", .seconds(300)), ("2h", .seconds(7200)), ("7", .seconds(7)), ("0s", .zero),
      ])
    func durations(text: String, duration: Duration) {
      #expect(DurationArgument(argument: text)?.duration == duration)
    }

    @Test(
      "Everything else is refused as a duration",
      arguments: [
        "", "s", "-1s", "5x", "1.2.3s", "1e3s", " 5s", "5 s", "nan", "inf", "999999999999999999s",
        "٣s",
      ])
    func noDurations(text: String) {
      #expect(DurationArgument(argument: text) == nil)
    }

    @Test("Durations are printed in the forms that people write")
    func brief() {
      let durations: [Duration] = [
        .milliseconds(1), .milliseconds(1500), .seconds(5), .seconds(90), .seconds(300),
        .seconds(7200),
      ]
      #expect(durations.map(\.text) == ["1ms", "1500ms", "5s", "90s", "5m", "2h"])
    }
  }
#endif
