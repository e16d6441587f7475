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
    /// What is passed on to a command that runs.
    static let forwarded =
      ending.sorted() + [SIGUSR1, SIGUSR2, SIGTSTP, SIGWINCH, SIGURG]
    /// What ends the wait for the lock.
    static let ending: Set<Int32> = {
      let ending: Set = [
        SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGXFSZ,
      ]
      #if canImport(Darwin)
        return ending
      #else
        return ending.union([SIGIO, SIGPWR])
      #endif
    }()

    /// What this process has received, of all that is passed on.
    private static let received = Locked<Set<Int32>>([])

    /// Whether this process has received a signal itself.
    static func hasReceived(_ signal: Int32) -> Bool { received.withLock { $0.contains(signal) } }

    /// How many stops of this job are under way, or were a moment ago.
    private static let stops = Locked(0)

    /// Stops this process and the others of its job as Ctrl-Z does, and returns when somebody has let them go on.
    static func stopJob() {
      stops.withLock { $0 += 1 }
      child_process_stop_job()
      // What is sent to the job may reach this process as well, and would stop the command again.
      DispatchQueue.global().asyncAfter(deadline: .now() + 0.1) { @Sendable in
        stops.withLock { $0 -= 1 }
      }
    }

    private let hasContinued = DispatchSemaphore(value: 0)
    private let sources = Locked<[any DispatchSourceSignal]>([])

    /// Calls `receive` for each signal, on a queue that is not the caller's.
    ///
    /// Returns when no signal can be missed.
    init(on queue: DispatchQueue, _ receive: @escaping @Sendable (Int32) -> Void) {
      // Whatever the parent has set: a closed output must not end this process, and the end of the command is waited for.
      _ = signal(SIGPIPE, SIG_IGN)
      _ = signal(SIGCHLD, SIG_DFL)
      let registration = DispatchGroup()
      func add(
        _ number: Int32, _ queue: DispatchQueue, _ handler: @escaping @Sendable () -> Void
      ) {
        registration.enter()
        sources.withLock { sources in
          let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
          source.setEventHandler(handler: handler)
          source.setRegistrationHandler { @Sendable in registration.leave() }
          source.activate()
          sources.append(source)
        }
      }
      for number in Self.forwarded where child_process_was_ignored(number) == 0 {
        #if canImport(Darwin)
          // Otherwise it would be delivered as ever, too. On Linux the source has a handler of its own, and a signal
          // that comes before is not to be lost.
          _ = signal(number, SIG_IGN)
        #endif
        add(number, queue) {
          guard number != SIGTSTP || Self.stops.withLock({ $0 == 0 }) else { return }
          Self.received.withLock { _ = $0.insert(number) }
          receive(number)
        }
      }
      add(SIGCONT, queue) { [hasContinued] in
        hasContinued.signal()
        receive(SIGCONT)
      }
      // Not for ever, when no thread can be had.
      _ = registration.wait(timeout: .now() + 1)
    }

    /// Stops this process and the others of its job, and returns when somebody has let them go on.
    func stop() {
      while hasContinued.wait(timeout: .now()) == .success {}
      Self.stopJob()
      // Another thread may be the first to stop, so that this one would run on for a moment. Not for ever: a job
      // without a shell is not stopped.
      _ = hasContinued.wait(timeout: .now() + 1)
    }
  }
#endif
