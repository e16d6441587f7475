#if CommandLineTool
  import CChildProcess

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// The terminal that `redis-lock` is in the foreground of, and lends to its command.
  struct Terminal: Sendable {
    private let descriptor: Int32

    /// The terminal of the standard input; nil if that is none, or another job's at present.
    init?() {
      guard isatty(STDIN_FILENO) == 1, tcgetpgrp(STDIN_FILENO) == getpgrp() else { return nil }
      descriptor = STDIN_FILENO
    }

    var fileDescriptor: Int32 { descriptor }

    /// Takes the foreground back.
    func takeBack() { child_process_set_foreground(descriptor, getpgrp()) }

    /// Lends the foreground again, if it is this job's: after `bg` it is not.
    func lend(to group: pid_t) {
      if tcgetpgrp(descriptor) == getpgrp() { child_process_set_foreground(descriptor, group) }
    }
  }
#endif
