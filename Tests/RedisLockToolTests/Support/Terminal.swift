#if CommandLineTool && os(Linux)
  import Foundation
  import PrivateRedis
  import Testing

  /// A pseudo-terminal of script(1), which records what it shows.
  enum Terminal {
    /// Runs a command line in a terminal.
    ///
    /// The variable RUN is the tool, patient with a busy server, and GO is a file that does not exist yet. After
    /// each prompt, the matching input is typed. If the shell cannot report that it is ready, the last input is
    /// typed repeatedly until an answer comes.
    static func type(
      _ input: [(prompt: String, keys: String)], until answer: String? = nil,
      into commandLine: String, on server: RedisServer
    ) async throws -> ToolProcess.Outcome {
      let folder = try TemporaryFolder()
      _ = try folder.makeFile("command", commandLine)
      var steps = input.map { prompt, keys in
        "until grep -q '\(prompt)' \"$seen\" || is_over; do sleep 0.02; done; printf '\(keys)'"
      }
      if let answer, let keys = input.last?.keys {
        steps.append(
          """
          until grep -q '\(answer)' "$seen" || is_over; do sleep 0.2; printf '\(keys)'; done
          """)
      }
      // script(1) starts the shell of the user, which may not ignore Ctrl-\ as bash does.
      let launcher = """
        export LOCK="$0" RUN="$0 run -w 60s" seen='\(folder.path("seen"))' GO='\(folder.path("go"))'; : >"$seen"
        is_over() { [ -e "$seen.end" ] || [ ! -e "$seen" ]; }
        { \(steps.joined(separator: "\n")); until is_over; do sleep 0.02; done; } |
          { script -qefc "exec bash '\(folder.path("command"))'" "$seen"; code=$?; : >"$seen.end"; exit $code; }
        """
      return try await ToolProcess([], on: server, through: ["/bin/bash", "-c", launcher]).outcome()
    }

    // A shell that is about to wait for a process may lose Ctrl-C to that process. So the process to be ended is
    // not a child of a shell.

    /// Lets a command wait until the shell has made the file GO, without a process that could be stopped
    /// separately.
    static let untilGo = "while [ ! -e $GO ]; do :; done"
    /// Lets a command wait until its job is in the foreground, by its own group or by that of the run.
    static let untilInForeground = """
      while :; do for p in $$ $PPID; do set -- $(cat /proc/$p/stat); [ $5 = $8 ] && break 2; done; sleep 0.02; done
      """
  }
#endif
