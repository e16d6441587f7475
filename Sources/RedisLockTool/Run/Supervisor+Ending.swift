#if CommandLineTool
  import AsyncRedisLock
  import CChildProcess

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// Ends the command with all that it has started, and notes that it has ended.
  extension Supervisor {
    /// Ends the command and all processes that it has started, because the lock is lost or is being lost.
    ///
    /// Returns the id of a process that cannot be ended, or 0, when the command is killed for the first time.
    @discardableResult
    func end(with signal: Int32, because lock: Lock) -> pid_t? {
      let loss = describeLoss(of: lock)
      let child = state.withLock { state in
        if state.child != nil { state.loss = state.isUnguarded ? Self.unguarded : loss }
        return state.child
      }
      guard let child else { return nil }
      let missed = child_process_signal_all(child, signal)
      guard signal == SIGKILL else {
        _ = child_process_signal_all(child, SIGCONT)
        return nil
      }
      return state.withLock { state in
        defer { state.isKilled = true }
        return state.isKilled ? nil : missed
      }
    }

    private static let unguarded =
      "the lock was given up: the guardian process was killed, and another cannot be started"

    private static let endedByGuardian =
      "the guardian process ended the command: this process was stopped, or too slow, while the lock ran out"

    /// It is not known whether all that the command has started had ended as well.
    private static let endedAmidGuard =
      "the lock ran out while this process was stopped, or too slow: the guardian process has ended what was left"

    /// Notes that the command has ended; processes that it has left behind must not go on without the lock.
    ///
    /// The guardian may have ended it while this process was stopped.
    func ended(_ lock: Lock, with status: Int32, byItself: Bool) {
      awaitRest(lock)
      // It does that a moment before the lock's time is over, and may not be done.
      let wasDue = child_process_was_due() != 0
      limitTheRest(after: .success(status), lock, wasHeld: lock.isHeld && !wasDue)
      child_process_set_signalled(0)
      let isLost = state.withLock { state in
        state.child = nil
        if wasDue, state.loss == nil {
          state.loss = byItself ? Self.endedAmidGuard : Self.endedByGuardian
        }
        return state.loss != nil
      }
      let isToEnd = isLost || !lock.isHeld
      let missed = isToEnd ? child_process_kill_left() : 0
      child_process_guardian_end()
      if isToEnd { tellLeft(missed: missed) }
    }

    /// If the command has ended because it was asked to, gives what it has started the same time for that.
    ///
    /// Until then the command counts as running: signals are passed on, and what is left is killed as planned. This
    /// blocks the thread of the command, which has nothing else to do.
    private func awaitRest(_ lock: Lock) {
      let child = state.withLock { state in
        guard state.plan?.hasAsked == true else {
          // From now on, it cannot be asked any more.
          state.child = nil
          return nil as pid_t?
        }
        return state.child
      }
      guard let child else { return }
      var (quietLooks, pause) = (0, Duration.milliseconds(10))
      while quietLooks < 2, child_process_was_due() == 0, !state.withLock({ $0.isKilled }) {
        quietLooks = child_process_has_rest(child) != 0 ? 0 : quietLooks + 1
        // Nothing else notices the end of the guardian now.
        let guardian = child_process_guardian_check()
        if guardian != 0 { guardianEnded(isReplaced: guardian > 0, lock) }
        usleep(UInt32(pause / .microseconds(1)))
        // A look at all processes takes its time.
        if quietLooks == 0 { pause = min(pause * 2, .milliseconds(50)) }
      }
    }

    /// Takes the terminal back from a command that has ended.
    func takeTerminalBack(wasHeld: Bool) {
      // Another process of this job may have asked for it a moment ago.
      guard terminal?.takeBack() == true else { return }
      // If the command has ended by itself, the shell sees to that.
      if !wasHeld || state.withLock({ $0.loss != nil }) { terminal?.restoreModes() }
      child_process_continue_job()
    }

    /// Ends this process if it has not ended by itself in time: to release the lock, it needs threads of Dispatch.
    func limitTheRest(
      after result: Result<Int32, ToolFailure>, _ lock: Lock, wasHeld: Bool
    ) {
      // For the release, for the record of the run, and for what is in between.
      let limit = lock.operationTimeout * 3 + .seconds(5)
      limitTheRest(to: Int((limit / .seconds(1)).rounded(.up))) { [self] in
        takeTerminalBack(wasHeld: wasHeld)
        // A lost lock needs no release.
        if wasHeld, state.withLock({ $0.loss == nil }) {
          console.say(
            .warning, "the lock could not be released in time and expires with its ttl", fields())
        }
        let ending = judge(result, wasHeld: wasHeld, lock, nil)
        ToolFailure.end(with: ending, by: console, fields: fields(), signal: endingSignal)
      }
    }

    /// Calls `end` after so many seconds in which this process runs: after a stop, it gets the rest of its time.
    ///
    /// Those do not count in which it is still looking for what the command has left: it is to tell what it finds.
    private func limitTheRest(to seconds: Int, _ end: @escaping @Sendable () -> Void) {
      guard seconds > 0 else { return end() }
      let progress = child_process_progress()
      queue.async(after: .seconds(1)) {
        self.limitTheRest(to: progress == child_process_progress() ? seconds - 1 : seconds, end)
      }
    }

    /// Reports that a process cannot be ended, such as another user's; once.
    func tell(missed process: pid_t) {
      guard process > 0, state.withLock({ $0.missed.insert(process).inserted }) else { return }
      console.say(
        .warning, "cannot kill process \(process), which runs under the lock",
        fields(["pid": .number(Int64(process))]))
    }

    /// Reports the processes that were killed, the command or what it had left behind, and one that could not be.
    func tellLeft(missed: pid_t) {
      tell(missed: missed)
      while true {
        let process = child_process_next_killed()
        guard process > 0 else { break }
        console.say(
          .warning, "killed process \(process) with SIGKILL",
          fields(["pid": .number(Int64(process))]))
      }
      let more = child_process_more_killed()
      if more > 0 { console.say(.warning, "killed \(more) more processes with SIGKILL", fields()) }
    }
  }
#endif
