package import Foundation

/// A child of this process that runs a shell script, or whatever the script becomes by `exec`.
///
/// Foundation's `Process` does not do: it cannot tell when its child has stopped, and needs a run loop. Sometimes
/// it also reports a killed child as running.
package struct ChildProcess: Sendable {
  /// The target of one of the three standard streams.
  package enum Stream {
    case null
    case descriptor(Int32)
    case newFile(String)
  }

  package let id: pid_t

  /// Starts `/bin/sh` with the script; its arguments are `$1` and so on.
  ///
  /// The child has a process group of its own, so a Ctrl-C at the terminal does not reach it. It inherits only the
  /// three streams.
  ///
  /// - Throws: ``RedisError/start(_:)`` if the child cannot be started.
  package init(
    script: String, arguments: [String], input: Stream, output: Stream, errors: Stream
  ) throws {
    #if canImport(Darwin)
      var actions: posix_spawn_file_actions_t?
      var attributes: posix_spawnattr_t?
      let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_CLOEXEC_DEFAULT
    #else
      var actions = unsafe posix_spawn_file_actions_t()
      var attributes = posix_spawnattr_t()
      let flags = POSIX_SPAWN_SETPGROUP
    #endif
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }

    unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
    for (target, stream) in zip(Int32(0)..., [input, output, errors]) {
      switch stream {
      case .null:
        unsafe posix_spawn_file_actions_addopen(&actions, target, "/dev/null", O_RDWR, 0)
      case .descriptor(let source):
        unsafe posix_spawn_file_actions_adddup2(&actions, source, target)
      case .newFile(let path):
        let mode = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND
        unsafe posix_spawn_file_actions_addopen(&actions, target, path, mode, 0o600)
      }
    }
    #if os(Linux)
      // Otherwise, a socket that a test opened without close-on-exec would stay open in the server.
      let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
      for descriptor in open.compactMap(Int32.init) where descriptor > 2 {
        unsafe posix_spawn_file_actions_addclose(&actions, descriptor)
      }
    #endif

    let environment = ProcessInfo.processInfo.environment.map { "\($0)=\($1)" }
    var id: pid_t = 0
    let error = unsafe withCStrings(["sh", "-c", script, "sh"] + arguments) { words in
      unsafe withCStrings(environment) { variables in
        unsafe posix_spawn(&id, "/bin/sh", &actions, &attributes, words, variables)
      }
    }
    guard error == 0 else { throw RedisError.start("posix_spawn: \(errorText(error))") }
    self.id = id
  }

  /// Sends a signal; call it only until a wait has reported the end of the process.
  package func signal(_ number: Int32) {
    _ = kill(id, number)
  }

  /// Waits until the process has ended.
  func waitForEnd() {
    _ = change(options: 0)
  }

  /// Waits until the process has stopped or ended.
  ///
  /// - Returns: Whether it has ended.
  func waitForStop() -> Bool {
    change(options: WUNTRACED) != .stopped
  }

  /// How the process has ended, without waiting; nil while it runs.
  ///
  /// Do not ask again once the end is known.
  package var ending: Ending? {
    switch change(options: WNOHANG) {
    case .ended(let ending): ending
    case .none, .stopped: nil
    }
  }

  /// How a process has ended.
  package enum Ending: Sendable, Equatable {
    case exit(Int32)
    case signal(Int32)
  }

  private enum Change: Equatable {
    case none
    case stopped
    case ended(Ending)
  }

  private func change(options: Int32) -> Change {
    while true {
      var status: Int32 = 0
      switch unsafe waitpid(id, &status, options) {
      case 0: return .none
      case id:
        // Macros that Swift cannot import: WIFSTOPPED, WTERMSIG and WEXITSTATUS.
        let signal = status & 0x7f
        if signal == 0x7f { return .stopped }
        return .ended(signal == 0 ? .exit(status >> 8 & 0xff) : .signal(signal))
      default:
        // Another wait has reaped it.
        if errno != EINTR { return .ended(.exit(0)) }
      }
    }
  }
}

/// Calls the body with C copies of the strings, followed by a null.
private func withCStrings<Result>(
  _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  let copies = unsafe strings.map { unsafe strdup($0) }
  defer { unsafe copies.forEach { unsafe free($0) } }
  return unsafe body(copies + [nil])
}
