#if CommandLineTool
  import CChildProcess
  import Dispatch

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// The command that runs under the lock, in a process group of its own.
  ///
  /// It is started and waited for on one thread: on Linux the kernel kills it when that thread ends, as it does
  /// when this process is killed.
  struct ChildProcess: Sendable {
    /// What becomes of it.
    enum Event: Sendable {
      case started(pid_t)
      /// It could not be started, for this `errno`.
      case failed(Int32)
      case stopped(by: Int32)
      case exited(Int32)
      case killed(signal: Int32)
      /// Something has ended the guardian; another has taken its place, or none could.
      case guardianEnded(isReplaced: Bool)
    }

    let command: CommandLineWords
    /// What is added to the environment, or replaced in it: `NAME=value`, or `NAME` to leave one out.
    let additions: [String]
    /// The terminal whose foreground it gets at once, if any.
    let terminal: Int32?

    /// Starts it; `receive` is called on its thread, and while that is busy with an end, its id is still its own.
    func start(_ receive: @escaping @Sendable (Event) -> Void) {
      // The block keeps its thread until it returns.
      DispatchQueue(label: "redis-lock.command", qos: .userInteractive).async {
        let child = self.spawn()
        guard child > 0 else { return receive(.failed(errno)) }
        receive(.started(child))
        while true {
          var change = child_process_change()
          guard unsafe child_process_wait(child, &change) == 0 else {
            return receive(.failed(errno))
          }
          if change.guardian != child_process_guardian_runs {
            receive(.guardianEnded(isReplaced: change.guardian == child_process_guardian_replaced))
            continue
          }
          if change.stopping_signal != 0 {
            receive(.stopped(by: change.stopping_signal))
            continue
          }
          let signal = change.ending_signal
          receive(signal != 0 ? .killed(signal: signal) : .exited(change.exit_status))
          child_process_forget(child)
          return
        }
      }
    }

    /// Whether the system can start a command with so many words and so large an environment; else why not, as `errno`.
    func check() -> Int32? {
      unsafe withOrder { order in unsafe child_process_fits(&order) != 0 ? nil : errno }
    }

    private func spawn() -> pid_t { unsafe withOrder { unsafe child_process_start(&$0) } }

    private func withOrder<Result>(_ body: (inout child_process_order) -> Result) -> Result {
      unsafe command.withCStrings { arguments in
        return unsafe withCStrings(additions) { additions in
          var order = unsafe child_process_order(
            arguments: arguments, additions: additions, terminal: terminal ?? -1)
          return unsafe body(&order)
        }
      }
    }
  }

  /// Calls a body with strings as C wants them, the last of them NULL.
  func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
  ) -> Result {
    var pointers = unsafe strings.map { unsafe strdup($0) } + [nil]
    defer { unsafe pointers.forEach { unsafe free($0) } }
    return unsafe pointers.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { preconditionFailure("There is always a NULL.") }
      return unsafe body(start)
    }
  }
#endif
