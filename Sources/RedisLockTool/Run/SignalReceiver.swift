#if CommandLineTool
  import CChildProcess
  import Dispatch
  import Foundation
  import Synchronization

  /// Receives the signals that `redis-lock` passes on.
  final class SignalReceiver: Sendable {
    /// What is passed on to a command that runs.
    static let forwarded = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP]
    /// What ends the wait for the lock.
    static let ending: Set = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]

    /// What this process was told to ignore, by nohup(1) for instance; so does the command.
    let ignored: [Int32]
    private let sources = Mutex<[any DispatchSourceSignal]>([])

    /// Calls `receive` for each signal, on a queue.
    init(on queue: DispatchQueue, _ receive: @escaping @Sendable (Int32) -> Void) {
      ignored = Self.forwarded.filter { child_process_ignores($0) != 0 }
      for number in Self.forwarded where !ignored.contains(number) {
        // Otherwise it would be delivered as ever, too.
        _ = signal(number, SIG_IGN)
        sources.withLock { sources in
          let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
          source.setEventHandler { @Sendable in receive(number) }
          source.activate()
          sources.append(source)
        }
      }
    }
  }
#endif
