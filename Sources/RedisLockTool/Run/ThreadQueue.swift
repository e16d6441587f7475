#if CommandLineTool
  import AsyncRedisLock
  import CChildProcess
  import Dispatch

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// Runs work items one after the other, on a thread that exists from the beginning.
  ///
  /// Dispatch creates threads when they are needed, and if the system allows none, it tries for ever. What ends a command
  /// in time must not depend on that, and neither must the thread that the command is a child of.
  final class ThreadQueue: Sendable {
    typealias Work = @Sendable () -> Void

    private struct Item {
      let due: ContinuousClock.Instant
      let work: Work
    }

    private final class Core: Sendable {
      struct State {
        /// In the order of their times; of equal ones, the first comes first.
        var items: [Item] = []
        var isEnded = false
      }

      let state = Locked(State())
      let wake = DispatchSemaphore(value: 0)

      /// Runs all items at their time, until the queue has ended.
      func run() {
        while true {
          let (work, pause, isEnded) = state.withLock { state -> (Work?, Duration?, Bool) in
            guard let first = state.items.first else { return (nil, nil, state.isEnded) }
            let pause = ContinuousClock.now.duration(to: first.due)
            return pause > .zero
              ? (nil, pause, state.isEnded) : (state.items.removeFirst().work, nil, false)
          }
          if let work { work() } else if isEnded { return } else { wait(pause) }
        }
      }

      private func wait(_ pause: Duration?) {
        guard let pause else { return wake.wait() }
        _ = wake.wait(timeout: .now() + pause / .seconds(1))
      }
    }

    private let core = Core()

    /// Creates the thread; if the system allows none, reports that and ends this process.
    init() {
      let context = unsafe Unmanaged.passRetained(core).toOpaque()
      let result = unsafe child_process_start_thread(context) { context in
        guard let context = unsafe context else { return nil }
        unsafe Unmanaged<Core>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }
      guard result == 0 else {
        Console.fail(.system, "cannot start a thread: \(unsafe String(cString: strerror(errno)))")
      }
    }

    deinit {
      core.state.withLock { $0.isEnded = true }
      core.wake.signal()
    }

    /// Runs a work item after a pause, if any.
    func async(after pause: Duration = .zero, _ work: @escaping Work) {
      let item = Item(due: .now + pause, work: work)
      core.state.withLock { state in
        let place = state.items.lastIndex { $0.due <= item.due }.map { $0 + 1 } ?? 0
        state.items.insert(item, at: place)
      }
      core.wake.signal()
    }
  }
#endif
