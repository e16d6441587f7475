#if CommandLineTool
  import AsyncRedisLock
  import CChildProcess
  import Dispatch
  import Synchronization

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// Receives the signals that `redis-lock` passes on.
  final class SignalReceiver: Sendable {
    /// The signals that are passed on to a running command; for real-time signals, only their numbers.
    static let forwarded =
      ending.sorted() + [SIGUSR1, SIGUSR2, SIGWINCH, SIGURG]
    /// The signals for the whole job if one of its processes asks for a terminal that another group has.
    static let terminal = [SIGTTIN, SIGTTOU]
    /// The signals that end the wait for the lock.
    static let ending: Set<Int32> = {
      let ending: Set = [
        SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGXFSZ,
      ]
      #if canImport(Darwin)
        return ending
      #else
        let (first, last) = (
          child_process_first_real_time_signal(), child_process_last_real_time_signal()
        )
        return ending.union([SIGIO, SIGPWR]).union(first...last)
      #endif
    }()

    /// The signals that this process has received, among those that are passed on.
    private static let received = Locked<Set<Int32>>([])

    /// Whether this process has received a signal itself.
    static func hasReceived(_ signal: Int32) -> Bool { received.withLock { $0.contains(signal) } }

    /// The stops of this job: how many are under way, and when a stop counts as over.
    private static let stops = Locked((count: 0, over: ContinuousClock.now))

    private static var isBeingStopped: Bool {
      stops.withLock { $0.count > 0 || .now < $0.over }
    }

    /// Stops this process and the others of its job as Ctrl-Z does, and returns when they are continued.
    ///
    /// Returns false if this process does not stop: it has received SIGCONT more often than `continues`.
    @discardableResult
    static func stopJob(after continues: UInt32) -> Bool {
      stops.withLock { $0.count += 1 }
      let hasStopped = child_process_stop_job(continues) != 0
      // Another run of the job may stop the job as well, which would stop the command again.
      stops.withLock { $0 = ($0.count - 1, .now + .milliseconds(100)) }
      return hasStopped
    }

    private let hasContinued = DispatchSemaphore(value: 0)

    /// The handler that the thread of the signals calls; that thread knows no objects.
    private static let handler = Locked<(@Sendable (Int32, child_process_origin) -> Void)?>(nil)

    /// Calls `receive` for each signal, on a thread of its own.
    ///
    /// Once it has returned, no signal can be missed; before, each signal has its usual effect on this process.
    ///
    /// - Throws: ``ToolFailure`` if the system lacks a thread.
    init(
      _ receive: @escaping @Sendable (Int32, child_process_origin) -> Void
    ) throws(ToolFailure) {
      // Whatever the parent has set: a closed output must not end this process, and it waits for the command's
      // end.
      _ = signal(SIGPIPE, SIG_IGN)
      _ = signal(SIGCHLD, SIG_DFL)
      Self.handler.withLock { [hasContinued] handler in
        handler = { number, origin in
          if number == SIGCONT {
            hasContinued.signal()
          } else {
            // A typed one counts at any time: the rest of the job has got it, too, and stops.
            let isRepeated = origin == child_process_from_job && Self.isBeingStopped
            guard number != SIGTSTP || !isRepeated else { return }
            Self.received.withLock { _ = $0.insert(number) }
          }
          receive(number, origin)
        }
      }
      // Also those that the parent has ignored, as for nohup(1): the command may have a handler of its own.
      let numbers = Self.forwarded + Self.terminal + [SIGTSTP, SIGCONT]
      let result = unsafe child_process_receive_signals(numbers, Int32(numbers.count)) {
        number, origin in SignalReceiver.handler.withLock { $0 }?(number, origin)
      }
      guard result == 0 else {
        throw ToolFailure(
          .system, "cannot receive signals: \(unsafe String(cString: strerror(errno)))")
      }
    }

    /// Stops this process and the others of its job, and returns when they are continued.
    ///
    /// Returns false if nothing has continued them: a job without a shell is not stopped. What has sent SIGCONT after
    /// the first `continues` did so after the cause of the stop, so that it is over at once.
    func stop(after continues: UInt32) -> Bool {
      while hasContinued.wait(timeout: .now()) == .success {}
      guard Self.stopJob(after: continues) else { return true }
      // Another thread may be the first to stop, so that this one would run on for a moment. Not for ever: without a
      // shell, no end comes, and a new stop cancels a signal to continue.
      let deadline = ContinuousClock.now + .seconds(1)
      while ContinuousClock.now < deadline {
        if wasContinued(within: 0.02) || child_process_is_to_stop() != 0 { return true }
      }
      return false
    }

    /// Whether this process is continued within so many seconds, or has been since it was to stop.
    func wasContinued(within seconds: Double = 0) -> Bool {
      hasContinued.wait(timeout: .now() + seconds) == .success
    }
  }
#endif
