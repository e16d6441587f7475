#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  /// With script(1), which makes a pseudo-terminal and writes down what it shows.
  @Suite("redis-lock run on a terminal", .timeLimit(.minutes(5)))
  struct TerminalTests {
    /// Runs a command line in a terminal, in which the variable LOCK is the tool.
    ///
    /// After each prompt, the input that goes with it is
    /// typed.
    private func type(
      _ input: [(prompt: String, keys: String)], into commandLine: String, on server: RedisServer
    ) async throws -> ToolProcess.Outcome {
      let folder = try TemporaryFolder()
      _ = try folder.makeFile("command", commandLine)
      let steps = input.map { prompt, keys in
        "until grep -q '\(prompt)' \"$seen\"; do sleep 0.02; done; printf '\(keys)'"
      }
      let launcher = """
        export LOCK="$0" seen='\(folder.path("seen"))'; : >"$seen"
        { \(steps.joined(separator: "\n")); while [ ! -e "$seen.end" ]; do sleep 0.02; done; } |
          { script -qefc "bash '\(folder.path("command"))'" "$seen"; code=$?; : >"$seen.end"; exit $code; }
        """
      return try await ToolProcess([], on: server, through: ["/bin/bash", "-c", launcher]).outcome()
    }

    @Test("A run on a terminal gives the command the terminal")
    func passesThrough() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await type(
        [("ready", "hello\\n")],
        into: "$LOCK run key -c 'test -t 0 && test -t 1 && echo ready; read word; echo got $word'",
        on: server)
      #expect(outcome.status == 0)
      #expect(outcome.output.contains("got hello"))
      #expect(try server.keys().isEmpty)
    }

    @Test("A run on a terminal lets Ctrl-C end the command")
    func interrupt() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let outcome = try await type(
        [("ready", "\\003")], into: "$LOCK run key -c 'echo ready; sleep 100'", on: server)
      #expect(outcome.status == 128 + SIGINT)
      #expect(try server.keys().isEmpty)
    }

    @Test("A run on a terminal lets Ctrl-Z stop it, and fg go on")
    func stop() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let commands = """
        set -m
        $LOCK run key -c 'echo ready; sleep 1; echo fin\"\"ished'
        echo stopped with $?
        fg >/dev/null
        echo ended with $?
        """
      let outcome = try await type([("ready", "\\032")], into: commands, on: server)
      #expect(outcome.output.contains("stopped with \(128 + SIGSTOP)"))
      #expect(outcome.output.contains("finished"))
      #expect(outcome.output.contains("ended with 0"))
      #expect(try server.keys().isEmpty)
    }

    @Test("A run stopped past the end of its lock ends the command when it goes on")
    func stoppedTooLong() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let commands = """
        set -m
        $LOCK run key --ttl 500ms -c 'echo ready; sleep 1; echo fin\"\"ished'
        echo stopped with $?
        sleep 1
        fg >/dev/null
        echo ended with $?
        """
      let outcome = try await type([("ready", "\\032")], into: commands, on: server)
      #expect(outcome.output.contains("stopped with \(128 + SIGSTOP)"))
      #expect(!outcome.output.contains("finished"))
      #expect(outcome.output.contains("ended with 76"))
    }
  }
#endif
