#if os(Linux)
  import Foundation

  /// A program that counts a signal.
  enum SignalCount {
    /// Ends with the status 0 as soon as a signal has come so many times.
    static func run(_ signal: Int32, times: Int) -> Never {
      // A real-time signal waits in the system as often as it was sent.
      var set = sigset_t()
      unsafe sigemptyset(&set)
      unsafe sigaddset(&set, signal)
      unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
      print("ready")
      fflush(nil)
      for _ in 0..<times { unsafe sigwaitinfo(&set, nil) }
      exit(0)
    }
  }
#endif
