#if CommandLineTool
  import AsyncRedisLock
  import CChildProcess

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// The controlling terminal; while `redis-lock` has its foreground, it lends that to its command.
  ///
  /// Not the standard input: ssh and sudo ask for passwords on the terminal, whatever the input is.
  final class Terminal: Sendable {
    private let descriptor: Int32
    /// The modes that it had before the command got it; nil while it has not.
    private let modes = Locked<termios?>(nil)

    /// The controlling terminal; nil if there is none.
    init?() {
      let descriptor = unsafe open("/dev/tty", O_RDWR | O_CLOEXEC)
      guard descriptor >= 0 else { return nil }
      self.descriptor = descriptor
    }

    var fileDescriptor: Int32 { descriptor }

    /// Whether another process of this job may want the terminal.
    ///
    /// A pager in a pipeline may; so may a script that has started this process in the background, without an
    /// input.
    ///
    /// If so, the command stays in the group of the job on Linux. A process that asks for a terminal of another group is
    /// stopped for that, and so is the script that it belongs to. Elsewhere only its group tells what the command has
    /// started, so it gets the terminal when it asks for it.
    static let mayBeShared: Bool = {
      // In a PID namespace, this job may be out of sight, and a terminal that was lent could not be given back to it.
      guard getpgrp() > 0 else { return true }
      var output = stat()
      guard isatty(STDIN_FILENO) == 1, unsafe fstat(STDOUT_FILENO, &output) == 0 else {
        return true
      }
      return [S_IFIFO, S_IFSOCK].contains(output.st_mode & S_IFMT)
    }()

    /// Takes the foreground back, if the command has it; returns whether it had.
    @discardableResult
    func takeBack() -> Bool { child_process_take_terminal_back(descriptor) > 0 }

    /// Keeps the modes for ``restoreModes()``, before the command gets the terminal for the first time.
    func keepModes() {
      modes.withLock { kept in
        var modes = termios()
        if kept == nil, unsafe tcgetattr(descriptor, &modes) == 0 { kept = modes }
      }
    }

    /// Restores the modes after a command that was ended because of its lock: an editor leaves the terminal raw.
    ///
    /// Only for a terminal that was taken back from the command: otherwise another process may have set them.
    func restoreModes() {
      guard isOwn, var modes = modes.withLock({ $0 }) else { return }
      // At once: the terminal may hold up the rest of the output without end.
      unsafe tcsetattr(descriptor, TCSANOW, &modes)
    }

    /// Whether this process is in the foreground, and has not lent it.
    var isOwn: Bool { tcgetpgrp(descriptor) == getpgrp() }

    /// Lends the foreground again, if this job has it: after `bg` it does not.
    func lend() {
      guard isOwn else { return child_process_check_terminal(descriptor) }
      keepModes()
      child_process_lend_terminal(descriptor)
    }
  }
#endif
