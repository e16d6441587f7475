#if CommandLineTool
  import CChildProcess

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// The command that runs under the lock, in the guardian's process group or in that of the job.
  ///
  /// It is started and waited for on one thread: on Linux the kernel kills it if that thread ends, as it does if
  /// this process is killed.
  struct ChildProcess: Sendable {
    /// An event in the life of the command.
    enum Event: Sendable {
      /// Its process exists, and gets signals from now on.
      case begun(pid_t)
      case started(pid_t)
      /// It could not be started, for this `errno`.
      case failed(Int32)
      case stopped(by: Int32)
      case exited(Int32)
      case killed(signal: Int32)
      /// The guardian was ended from outside; another has taken its place, or none could.
      case guardianEnded(isReplaced: Bool)
    }

    let command: CommandLineWords
    /// Variables to add to the environment, or to replace: `NAME=value`, or `NAME` to leave one out.
    ///
    /// The first has another value in each run.
    let additions: [String]
    /// The terminal whose foreground the command gets at once, if any.
    let terminal: Int32?

    /// Starts the command.
    ///
    /// `receive` is called on the queue's thread; while it handles the end, the command's id is not reused.
    func start(on queue: ThreadQueue, _ receive: @escaping @Sendable (Event) -> Void) {
      queue.async {
        let (child, start) = self.spawn()
        guard child > 0 else { return receive(.failed(errno)) }
        receive(.begun(child))
        let error = child_process_await_start(child, start)
        guard error == 0 else {
          receive(.failed(error))
          return child_process_forget(child)
        }
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

    /// Checks whether the system accepts so many words and so large an environment; returns the `errno` if not.
    func check() -> Int32? {
      unsafe withOrder { order in unsafe child_process_fits(&order) != 0 ? nil : errno }
    }

    private func spawn() -> (child: pid_t, start: Int32) {
      var start: Int32 = -1
      let child = unsafe withOrder { unsafe child_process_start(&$0, &start) }
      return (child, start)
    }

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

  /// Calls a body with strings in C's form, the last of them NULL.
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
