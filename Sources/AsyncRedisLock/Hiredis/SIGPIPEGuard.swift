#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// Keeps a write to a closed socket from killing the process.
///
/// hiredis writes without `MSG_NOSIGNAL` in every version. On Linux the signal is blocked on this
/// thread for the time of the write, and taken off the thread if it came; the process's handlers
/// stay as they are. Darwin has a socket option for it (``SocketOpener``).
enum SIGPIPEGuard {
  static func run<Result>(_ body: () -> Result) -> Result {
    #if canImport(Darwin)
      return body()
    #else
      var pipeSignal = sigset_t()
      var former = sigset_t()
      unsafe sigemptyset(&pipeSignal)
      unsafe sigaddset(&pipeSignal, SIGPIPE)
      unsafe pthread_sigmask(SIG_BLOCK, &pipeSignal, &former)
      let result = body()
      // Where the host blocks the signal itself, one that is pending may be the host's.
      if unsafe sigismember(&former, SIGPIPE) == 0 {
        // Only a failed write can have raised it, and errno is the write's until here.
        if errno == EPIPE {
          var pending = sigset_t()
          unsafe sigpending(&pending)
          var signal: CInt = 0
          if unsafe sigismember(&pending, SIGPIPE) == 1 { unsafe sigwait(&pipeSignal, &signal) }
        }
        unsafe pthread_sigmask(SIG_SETMASK, &former, nil)
      }
      return result
    #endif
  }
}
