#if CommandLineTool
  import Foundation
  import PrivateRedis
  import Testing

  @testable import RedisLockTool

  @Suite("The completions of redis-lock", .timeLimit(.minutes(2)))
  struct ShellCompletionTests {
    /// The completions that bash offers for the words of a line, whose last word is unfinished.
    private func offered(for words: [String], on server: RedisServer) async throws -> [String] {
      let script = URL(filePath: #filePath)
        .appending(path: "../../../Packaging/generated/redis-lock.bash").standardized
      let program = """
        tool=$0; source "$1"; shift
        COMP_WORDS=("$tool" "$@"); COMP_CWORD=$#; COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
        # As readline has it, a word of colons has nothing to be replaced.
        cur=${COMP_WORDS[COMP_CWORD]}; [[ $cur = +(:) ]] && cur=
        _redis-lock "$tool" "$cur" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
        """
      let bash = try ToolProcess(
        [script.path(percentEncoded: false)] + words, on: server,
        through: ["/bin/bash", "-O", "extglob", "-c", program])
      let outcome = await bash.outcome()
      #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
      return outcome.output.split(separator: "\n").map(String.init)
    }

    @Test("Names of locks are completed, even behind colons, unless a shell would expand them")
    func names() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let holder = try ToolProcess(
        [
          "run", "job:nightly", "job:hourly", "a::b", "x$(exit 9)", "two words", "-c",
          "echo ready; sleep 60",
        ],
        on: server)
      await holder.waitUntilSaid("ready")
      let client = RedisClient(server)
      _ = try client("SET", "job:list", "no lock")
      // If it were offered, it would be taken for an option and run.
      _ = try client("COPY", "job:nightly", "--command=touch")
      for (words, names) in [
        (["status", ""], ["a::b", "job:hourly", "job:nightly"]),
        (["status", "jo"], ["job:hourly", "job:nightly"]),
        (["release", "--force", "job", ":"], ["hourly", "nightly"]),
        (["run", "job", ":", "n"], ["nightly"]),
        (["status", "a", "::"], ["b"]),
        (["status", "--url", "unix:///nowhere", "jo"], []),
      ] {
        #expect(try await offered(for: words, on: server) == names, "\(words)")
      }
      holder.signal(SIGTERM)
      _ = await holder.outcome()
    }

    @Test("A server that does not answer does not block the completion")
    func silentServer() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      server.pause()
      #expect(try await offered(for: ["status", "j"], on: server) == [])
      server.resume()
    }

    @Test("Behind -- the command is completed")
    func command() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let commands = try await offered(for: ["run", "k", "--", "redis-serve"], on: server)
      #expect(Set(commands) == ["redis-server"])
      let files = try await offered(for: ["run", "k", "--", "cat", "/etc/passw"], on: server)
      #expect(files.contains("/etc/passwd"))
    }

    #if os(Linux)
      /// The other shells that are installed.
      private static let shells = ["zsh", "fish"].filter { SystemTool.runs([$0, "-c", "true"]) }

      @Test(
        "Other shells also complete names of locks, and the command behind --",
        .enabled("There is neither zsh nor fish.") { !shells.isEmpty }, arguments: shells)
      func otherShells(shell: String) async throws {
        let server = try RedisServer()
        defer { server.stop() }
        let holder = try await ToolProcess.hold("job:nightly", on: server)
        let folder = try TemporaryFolder()
        let scripts = URL(filePath: #filePath).appending(path: "../../../Packaging/generated")
          .standardized.path(percentEncoded: false)
        _ = try folder.makeFile("unlikely-name", "#!/bin/sh\necho = it ran\n")
        try FileManager.default.setAttributes(
          [.posixPermissions: 0o755], ofItemAtPath: folder.path("unlikely-name"))
        _ = try folder.makeFile(
          ".zshrc",
          """
          fpath=('\(scripts)' $fpath); autoload -Uz compinit; compinit -u -D; PS1='= ready '
          """)
        try FileManager.default.createDirectory(
          atPath: folder.path("fish"), withIntermediateDirectories: false)
        _ = try folder.makeFile(
          "fish/config.fish",
          """
          source '\(scripts)/redis-lock.fish'
          function fish_greeting; end
          function fish_prompt; echo '= ready '; end
          """)
        let outcome = try await Terminal.type(
          [
            ("= ready", "redis-lock status job:n\\t\\n"),
            ("held by", "redis-lock run k -- unlikely-na\\t\\n"), ("= it ran", "exit\\n"),
          ],
          into: """
            export TERM=xterm PATH='\(folder.path(""))':"$(dirname "$LOCK"):$PATH"
            export HOME='\(folder.path(""))' ZDOTDIR='\(folder.path(""))' XDG_CONFIG_HOME='\(folder.path(""))'
            exec \(shell) -i
            """, on: server)
        #expect(outcome.output.contains("job:nightly: held by nightly on "), "\(outcome.output)")
        #expect(outcome.output.contains("= it ran"), "\(outcome.output)")
        withExtendedLifetime(holder) {}
      }
    #endif

    @Test("The text before a colon belongs to the word, although bash splits it there")
    func head() {
      for (words, index, head) in [
        (["r", "status", "job"], 2, ""), (["r", "status", "job", ":"], 3, "job:"),
        (["r", "status", "job", ":", "n"], 4, "job:"), (["r", "status", ":", "n"], 3, ":"),
        (["r", "status", "a", ":", "b", "::", "c"], 6, "a:b::"), (["r", "status"], 9, ""),
      ] {
        #expect(LockNames.head(of: words, at: index) == head, "\(words)")
      }
    }
  }
#endif
