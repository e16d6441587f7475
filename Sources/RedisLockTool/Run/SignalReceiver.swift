#if CommandLineTool
  // In builds for the thread sanitizer the mutex is that of the library.
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
    static let forwarded = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP]
    /// What ends the wait for the lock.
    static let ending: Set = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]

    /// What this process has received, of all that is passed on.
    private static let received = Mutex<Set<Int32>>([])

    /// Whether this process has received a signal itself.
    static func hasReceived(_ signal: Int32) -> Bool { received.withLock { $0.contains(signal) } }

    /// How many stops of this job are under way, or were a moment ago.
    private static let stops = Mutex(0)

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
    private let sources = Mutex<[any DispatchSourceSignal]>([])

    /// Calls `receive` for each signal, on a queue.
    init(on queue: DispatchQueue, _ receive: @escaping @Sendable (Int32) -> Void) {
      // Whatever the parent has set: a closed output must not end this process, and the end of the command is waited for.
      _ = signal(SIGPIPE, SIG_IGN)
      _ = signal(SIGCHLD, SIG_DFL)
      for number in Self.forwarded where child_process_was_ignored(number) == 0 {
        // Otherwise it would be delivered as ever, too.
        _ = signal(number, SIG_IGN)
        sources.withLock { sources in
          let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
          source.setEventHandler { @Sendable in
            guard number != SIGTSTP || Self.stops.withLock({ $0 == 0 }) else { return }
            Self.received.withLock { _ = $0.insert(number) }
            receive(number)
          }
          source.activate()
          sources.append(source)
        }
      }
      sources.withLock { [hasContinued] sources in
        let source = DispatchSource.makeSignalSource(signal: SIGCONT, queue: .global())
        source.setEventHandler { @Sendable in _ = hasContinued.signal() }
        source.activate()
        sources.append(source)
      }
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
