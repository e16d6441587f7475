#if CommandLineTool
  import AsyncRedisLock
  import CChildProcess

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// A signal that this process has received.
  struct ReceivedSignal {
    var number: Int32
    /// How many were received before.
    var receipt: UInt32
    /// Whether it was sent to the group of the command as well.
    var hasReachedGroup: Bool

    /// Whether the command has got it, too: it may have been started a moment later.
    ///
    /// Valid once it has been started.
    var hasReachedCommand: Bool {
      hasReachedGroup && child_process_has_missed(number, receipt) == 0
    }
  }

  /// Handles signals, and ends the command in time when the lock is being lost.
  extension Supervisor {
    /// Continues the command, in the foreground if this job is there.
    func goOn() { continueOthers(state.withLock { goOn(&$0) }) }

    /// Returns the command if it was continued.
    private func goOn(_ state: inout State) -> pid_t? {
      guard let child = state.child, !state.isStopped else { return nil }
      // What has continued this process has continued the whole job.
      guard child_process_stays_in_job() == 0 || child_process_has_left(child) != 0 else {
        return nil
      }
      if state.getsTerminal { terminal?.lend() }
      _ = child_process_signal_command(child, SIGCONT)
      return child
    }

    private func continueOthers(_ child: pid_t?) {
      if let child { child_process_signal_others(child, SIGCONT) }
    }

    /// Continues the command after a stop; returns false if the job was stopped anew meanwhile.
    func endStop() -> Bool {
      let (isOver, child) = state.withLock { state -> (Bool, pid_t?) in
        guard child_process_is_to_stop() == 0 else { return (false, nil) }
        state.isStopped = false
        return (true, goOn(&state))
      }
      continueOthers(child)
      return isOver
    }

    /// Makes sure that another process of this job, such as a pager, gets the terminal that it has asked for.
    ///
    /// The process was stopped for that. The command gets the terminal back when it asks for it.
    private func shareTerminal() {
      guard let terminal else { return }
      // The command was stopped for that as well.
      let isStopped = child_process_stays_in_job() != 0 && state.withLock { $0.child != nil }
      guard !isStopped else { return }
      state.withLock { $0.getsTerminal = false }
      if terminal.takeBack() || terminal.isOwn { return child_process_continue_job() }
      // The whole job is in the background.
      receive(SIGTSTP, from: child_process_from_elsewhere)
    }

    /// Whether the command's group has got a signal as well, because that was sent to its whole job.
    ///
    /// That of the terminal was, except when it hangs up: then it signals the leader of its session.
    private func hasReachedGroup(_ signal: Int32, from origin: child_process_origin) -> Bool {
      guard origin != child_process_from_guardian else { return true }
      guard child_process_stays_in_job() != 0 else { return false }
      let wasSentToJob = child_process_was_sent_to_job(signal) != 0
      return wasSentToJob
        || origin == child_process_from_terminal && Self.typed.contains(signal)
    }

    /// Passes a signal on, unless the command has got it with its group.
    func pass(_ signal: ReceivedSignal) {
      guard signal.hasReachedCommand else { return pass(signal.number) }
      state.withLock { state in
        if let child = state.child { child_process_follow(child, signal.number) }
      }
    }

    /// Passes a signal on to the command.
    private func pass(_ signal: Int32) {
      // Not while others wait for the state: signals may take longer than the guardian does.
      guard let child = state.withLock({ $0.child }) else { return }
      _ = child_process_signal(child, signal)
      // A stopped command would not notice.
      if Self.urgent.contains(signal), Self.isEnding(signal) {
        _ = child_process_signal(child, SIGCONT)
      }
    }

    private static let typed: Set = [SIGINT, SIGQUIT, SIGTSTP]
    /// What users send to end a program.
    private static let urgent: Set = [SIGINT, SIGQUIT, SIGTERM, SIGHUP]

    /// Whether a signal ends programs, unless they handle it.
    private static func isEnding(_ signal: Int32) -> Bool {
      SignalReceiver.ending.contains(signal) && child_process_was_ignored(signal) == 0
    }

    func receive(_ signal: Int32, from origin: child_process_origin) {
      let received = ReceivedSignal(
        number: signal, receipt: child_process_receipt(),
        hasReachedGroup: hasReachedGroup(signal, from: origin))
      // When this process goes on, so does the command: another run of the job has stopped that, too, and no witness
      // can tell any more.
      guard signal != SIGTSTP || child_process_has_stopped() == 0 else { return }
      guard signal != SIGCONT else {
        if child_process_stays_in_job() == 0 { return goOn() }
        return pass(received)
      }
      // What the parent ignores stops no job, and is only passed on.
      let isIgnored = child_process_was_ignored(signal) != 0
      guard isIgnored || !SignalReceiver.terminal.contains(signal) else { return shareTerminal() }
      let ends = Self.isEnding(signal)
      let (isRunning, hasWaited, cancelWait) = state.withLock { state in
        if state.child == nil, state.hasWaited || ends { state.signals.append(received) }
        return (state.child != nil, state.hasWaited, state.cancelWait)
      }
      if isRunning {
        pass(received)
      } else if !hasWaited {
        // Stops as without a handler; the place in the queue may lapse meanwhile.
        if signal == SIGTSTP, !isIgnored {
          SignalReceiver.stopJob(after: child_process_continues_at_receipt())
        }
        if ends { cancelWait?() }
      }
    }

    /// Stops when the command was stopped, as a shell expects of a job, and continues with it.
    func stopped(by signal: Int32, _ lock: Lock, _ receiver: SignalReceiver) {
      guard let terminal else { return }
      // What is not reported yet has not reached a command outside of the job: it came after the stop.
      var continues =
        child_process_stays_in_job() != 0
        ? child_process_continues() : child_process_reported_continues()
      // A shell does not tell a background job that it has moved to the foreground.
      if terminal.isOwn, SignalReceiver.terminal.contains(signal) {
        // The shell continues the whole job.
        guard child_process_stays_in_job() == 0 else { return }
        state.withLock { $0.getsTerminal = true }
        return goOn()
      }
      // The command, or the whole job, may have been continued since.
      if let child = state.withLock({ $0.child }) {
        guard child_process_has_stayed_stopped(child) != 0 else { return }
      }
      state.withLock { $0.isStopped = true }
      terminal.takeBack()
      var isContinued = false
      while !isContinued {
        let former = min(continues, child_process_continues())
        let hasStopped = receiver.stop(after: continues)
        // The stop may have lasted for hours.
        guard lock.isHeld else {
          state.withLock { $0.isStopped = false }
          return give(up: lock)
        }
        // What has stopped the command alone continues it, unless the system does not let jobs stop from the terminal.
        if !hasStopped, signal == SIGSTOP {
          state.withLock { state in
            state.isStopped = false
            if state.getsTerminal { terminal.lend() }
          }
          guard receiver.wasContinued() else { return }
        }
        isContinued = endStop()
        // Else it is to stop anew. The signal that has ended the former stop may be noted late, or never.
        continues = max(former + 1, child_process_continues_at_stop())
      }
    }

    /// Checks how long the lock lasts, and ends the command in time.
    func look(after lock: Lock) {
      let isGone = lock.lossReason?.isSaidByServer == true || state.withLock { $0.isUnguarded }
      if !isGone { renewGuardian(for: lock) }
      let action = state.withLock { state -> LossPlan.Action? in
        guard let child = state.child else { return nil }
        // What has ended by itself needs no signal, and is not told of a loss: its end is about to be noted.
        if state.plan?.hasAsked == false, child_process_has_ended(child) != 0 {
          return .wait(.milliseconds(10))
        }
        return state.plan?.next(remaining: lock.remaining, isGone: isGone, at: .now)
      }
      switch action {
      case nil: break
      case .wait(let duration): look(after: lock, in: duration)
      case .terminate(let duration):
        // Acts first, and reports afterwards.
        end(with: SIGTERM, because: lock)
        if isGone { child_process_guardian_renew(child_process_guardian_time() + 200_000_000) }
        look(after: lock, in: duration)
        console.say(.warning, "the lock is being lost: ending the command", fields())
      case .kill: give(up: lock)
      }
    }

    private func look(after lock: Lock, in duration: Duration) {
      queue.async(after: duration) { self.look(after: lock) }
    }

    func give(up lock: Lock) {
      let missed = end(with: SIGKILL, because: lock)
      // Until no process is left that was started meanwhile.
      look(after: lock, in: .milliseconds(50))
      // What was killed is reported when the command's end is, since it may just have ended otherwise.
      if let missed { tell(missed: missed) }
    }
  }
#endif
