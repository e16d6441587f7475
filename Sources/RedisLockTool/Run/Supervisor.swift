#if CommandLineTool
  import AsyncRedisLock
  import CChildProcess
  import Dispatch
  import Logging
  import Synchronization

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// Waits for a lock, runs a command under it, and makes sure that the command never outlives the lock.
  final class Supervisor: Sendable {
    /// The work to do.
    struct Order: Sendable {
      var keys: [String]
      var command: CommandLineWords
      var options: LockOptions
      var waits: Bool
      var grace: Duration
      /// How long the server keeps a record of the run; zero for none.
      var recordFor: Duration
      /// How many replicas have to confirm the lock; nil for the number in the URL.
      var acknowledgements: Int?

      /// The keys, for messages.
      var list: String { keys.joined(separator: ", ") }
    }

    struct State {
      /// Ends the wait for the lock; nil while it has not begun.
      var cancelWait: (@Sendable () -> Void)?
      /// Whether the wait for the lock has ended.
      var hasWaited = false
      /// The signals that ended the wait, or that are passed on as soon as the command runs.
      var signals: [ReceivedSignal] = []
      var child: pid_t?
      var plan: LossPlan?
      /// The signal that has ended the command, or the wait for the lock.
      var endingSignal: Int32?
      /// Why the command had to be ended.
      var loss: String?
      var isKilled = false
      /// Processes that could not be ended, and have been reported.
      var missed: Set<pid_t> = []
      /// Whether the command has no guardian any more.
      var isUnguarded = false
      /// Whether the command gets the terminal whenever this job has it.
      var getsTerminal = false
      /// Whether this process is stopped with the command, or about to continue with it.
      var isStopped = false
    }

    let order: Order
    let console: Console
    let terminal = Terminal()
    let queue = ThreadQueue()
    /// The command is a child of this thread.
    private let commandQueue = ThreadQueue()
    let state = Locked(State())

    /// The signal that has ended the command, or the wait for the lock, if one has.
    var endingSignal: Int32? { state.withLock { $0.endingSignal } }

    private let plan: LossPlan

    init(_ order: Order, console: Console) {
      self.order = order
      self.console = console
      let extend = order.options.extend ?? order.options.ttl / 3
      plan = LossPlan(
        ttl: order.options.ttl, extend: extend, grace: order.grace, maxHold: order.options.maxHold)
    }

    /// Does all the work; returns the exit status.
    ///
    /// - Throws: ``ToolFailure`` if the command was not run, or had to be ended.
    func run(on connection: ConnectionOptions) async throws -> Int32 {
      try prepare()
      defer { child_process_guardian_reap() }
      let receiver = try SignalReceiver { [weak self] in self?.receive($0, from: $1) }
      defer { withExtendedLifetime(receiver) {} }
      let locker: Locker
      let lock: Lock
      let begin = ContinuousClock.now
      func waited() -> Console.Field { .seconds(begin.duration(to: .now)) }
      do {
        (locker, lock) = try await waitForLock(on: connection)
      } catch is CancellationError {
        let signal = state.withLock { $0.signals.first?.number } ?? SIGTERM
        state.withLock { $0.endingSignal = signal }
        var failure = ToolFailure(signal: signal)
        failure.fields["waited"] = waited()
        throw failure
      } catch {
        var failure = ToolFailure(of: error)
        failure.fields["waited"] = waited()
        throw failure
      }
      // The process may have been stopped for long during the wait.
      guard lock.isHeld else {
        throw ToolFailure(.lost, describeLoss(of: lock))
      }
      renewGuardian(for: lock)
      let start = ContinuousClock.now
      console.say(
        .info, "acquired \(order.list)",
        fields([
          "fence": lock.fencingToken.map { .number(Int64($0)) }, "waited": waited(),
        ]))
      checkGuardian()
      let note = Task { try? await record(lock, at: locker, since: start) }
      let result = await runCommand(under: lock, receiver)
      let wasHeld = lock.isHeld
      takeTerminalBack(wasHeld: wasHeld)
      let outcome = await release(lock)
      let ending = judge(result, wasHeld: wasHeld, lock, outcome)
      // The server may have been the first to know.
      if case .success = result, case .failure = ending {
        tellLeft(missed: child_process_kill_left())
      }
      // If the server did not answer the release, another request would only cost time.
      if outcome != nil {
        _ = await note.value
        try? await record(lock, at: locker, since: start, ending)
      }
      let held = start.duration(to: .now)
      let status = try? ending.get()
      console.say(
        .info, "held \(order.list) for \(held.text)",
        fields(["held": .seconds(held), "exitStatus": status.map { .number(Int64($0)) }]))
      return try ending.get()
    }

    /// Sets up the guardian, which ends the command in any case, and checks that the command can be started.
    ///
    /// This comes before the lock is requested.
    private func prepare() throws(ToolFailure) {
      if let error = child(for: nil).check() { throw failure(toStart: error) }
      let staysInJob = terminal != nil && Terminal.mayBeShared
      guard child_process_guardian_start(staysInJob ? 1 : 0) == 0 else {
        throw ToolFailure(
          .system, "cannot start a process: \(unsafe String(cString: strerror(errno)))")
      }
    }

    /// Warns of a guardian that would not end the command in each case.
    private func checkGuardian() {
      guard child_process_guardian_can_stay_awake() == 0 else { return }
      console.say(
        .warning,
        "the limit of pending signals leaves no timer for the guardian: if both it and this process are stopped, the command outlives its lock",
        fields())
    }

    /// Tells the guardian how long the lock is valid, as far as is known.
    func renewGuardian(for lock: Lock) {
      let now = child_process_guardian_time()
      // Ending all processes takes a moment, too.
      let left = (lock.remaining - plan.reserve / 2) / .nanoseconds(1)
      child_process_guardian_renew(now + Int64(left.rounded(.down)))
    }

    private func child(for lock: Lock?) -> ChildProcess {
      // Without a lock yet, the longest possible values.
      let token = lock?.token ?? String(repeating: "x", count: Lock.longestToken)
      let fence = lock.map { lock in lock.fencingToken.map(String.init) } ?? "9007199254740991"
      return ChildProcess(
        command: order.command,
        additions: [
          "REDIS_LOCK_TOKEN=" + token, "REDIS_LOCK_KEY=" + order.keys.joined(separator: " "),
          fence.map { "REDIS_LOCK_FENCE=" + $0 } ?? "REDIS_LOCK_FENCE",
        ] + Self.outerTokens, terminal: Terminal.mayBeShared ? nil : terminal?.fileDescriptor)
    }

    /// The tokens of the runs whose commands this run is part of, from the outermost to the innermost.
    static var enclosingTokens: [String] {
      let environment = ProcessInfo.processInfo.environment
      return ["REDIS_LOCK_OUTER_TOKENS", "REDIS_LOCK_TOKEN"]
        .flatMap { environment[$0, default: ""].split(separator: " ").map(String.init) }
    }

    /// If this run is part of another's command, the variable by which its processes are still found as the other's.
    private static var outerTokens: [String] {
      guard ProcessInfo.processInfo.environment["REDIS_LOCK_TOKEN"] != nil else { return [] }
      // A run may start the next for ever.
      let kept = enclosingTokens.filter { $0.utf8.count <= Lock.longestToken }.suffix(16)
      return ["REDIS_LOCK_OUTER_TOKENS=" + kept.joined(separator: " ")]
    }

    // MARK: The command

    private func runCommand(
      under lock: Lock, _ receiver: SignalReceiver
    ) async -> Result<Int32, ToolFailure> {
      // It may have been extended since.
      renewGuardian(for: lock)
      let child = child(for: lock)
      state.withLock { $0.getsTerminal = child.terminal != nil }
      if child.terminal != nil, terminal?.isOwn == true { terminal?.keepModes() }
      state.withLock { $0.plan = plan }
      // The server may report that it is gone; the end of its validity is checked in any case.
      let watch = Task {
        try await lock.waitUntilLost()
        queue.async { self.look(after: lock) }
      }
      defer { watch.cancel() }
      return await withCheckedContinuation { continuation in
        child.start(on: commandQueue) { event in
          switch event {
          case .begun(let id):
            self.begun(id)
            self.queue.async { self.look(after: lock) }
          case .started(let id):
            let fields = self.fields(["pid": .number(Int64(id))])
            self.console.say(.info, "started \(self.order.command.name)", fields)
          case .failed(let error):
            child_process_set_signalled(0)
            self.state.withLock { $0.child = nil }
            // Without its lock, the command's group may be gone.
            let failure =
              lock.isHeld
              ? self.failure(toStart: error) : ToolFailure(.lost, self.describeLoss(of: lock))
            self.limitTheRest(after: .failure(failure), lock, wasHeld: lock.isHeld)
            continuation.resume(returning: .failure(failure))
          case .stopped(let signal): self.stopped(by: signal, lock, receiver)
          case .guardianEnded(let isReplaced): self.guardianEnded(isReplaced: isReplaced, lock)
          case .exited(let status):
            self.ended(lock, with: status, byItself: true)
            continuation.resume(returning: .success(status))
          case .killed(let signal):
            self.state.withLock { $0.endingSignal = signal }
            // That is how the guardian ends it.
            let byItself = signal != SIGKILL || child_process_had_ended() != 0
            self.ended(lock, with: 128 + signal, byItself: byItself)
            continuation.resume(returning: .success(128 + signal))
          }
        }
      }
    }

    private func failure(toStart error: Int32) -> ToolFailure {
      let status: ToolStatus =
        switch error {
        case ENOENT: .notFound
        // The guardian's time ends a little before the lock's.
        case ETIME: .lost
        case EAGAIN, ENOMEM, EMFILE, ENFILE: .system
        default: .notExecutable
        }
      let why =
        error == ETIME
        ? "too little of the lock's time was left" : unsafe String(cString: strerror(error))
      return ToolFailure(status, "cannot run \(order.command.name): \(why)")
    }

    private func begun(_ id: pid_t) {
      child_process_set_signalled(id)
      let pending = state.withLock { state in
        state.child = id
        defer { state.signals = [] }
        return state.signals
      }
      for signal in pending { pass(signal) }
    }

    /// Keeps the time without a guardian short: if this process hung meanwhile, the command would not be ended.
    func guardianEnded(isReplaced: Bool, _ lock: Lock) {
      if isReplaced {
        let text = "the guardian process was killed; another was started"
        return console.say(.warning, text, fields())
      }
      state.withLock { $0.isUnguarded = true }
      queue.async { self.look(after: lock) }
    }
  }
#endif
