#if CommandLineTool
  import CChildProcess

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// The controlling terminal that `redis-lock` is in the foreground of, and lends to its command.
  ///
  /// Not the standard input: ssh and sudo ask for passwords on the terminal whatever that is.
  struct Terminal: Sendable {
    private let descriptor: Int32

    /// The controlling terminal; nil if there is none, or if another job has it at present.
    init?() {
      let descriptor = unsafe open("/dev/tty", O_RDWR | O_CLOEXEC)
      guard descriptor >= 0 else { return nil }
      guard tcgetpgrp(descriptor) == getpgrp() else {
        close(descriptor)
        return nil
      }
      self.descriptor = descriptor
    }

    var fileDescriptor: Int32 { descriptor }

    /// Takes the foreground back.
    func takeBack() { child_process_take_terminal_back(descriptor) }

    /// Lends the foreground again, if it is this job's: after `bg` it is not.
    func lend() {
      if tcgetpgrp(descriptor) == getpgrp() { child_process_lend_terminal(descriptor) }
    }
  }
#endif
