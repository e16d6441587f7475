extension Coordinator {
  /// Takes a lock; returns nil if another holder has it and the caller does not wait.
  ///
  /// Runs on the caller's actor and executor only until the task has its place in the line, so that places are in
  /// the order of the calls. Requests and waits run elsewhere: the actor or executor may be blocked, while other
  /// tasks wait for the leader, and `close()` waits for all calls.
  func acquire(
    _ keys: LockKeys, options: LockOptions, waits: Bool, trace: AcquisitionTrace? = nil
  ) async throws -> Lease? {
    try beginCall(keys)
    let call = AcquireRun(
      keys: keys, options: options, trace: trace,
      state: AcquireState(
        keys: keys.names, options: options, waits: waits, operationTimeout: operationTimeout,
        now: clock.now, grace: clock.grace, lockerID: store.lockerID))
    let place: Place =
      waits
      ? .inLine(queues.enter(keys, options: options))
      : .alone(isLeader: queues.enterAlone(keys))
    guard Task.canBeHeldUp else { return try await acquire(consume call, at: place) }
    return try await acquireOutOfReach(call, at: place)
  }

  // Not part of the function above: what its closure captures would be copied on the usual way, too.
  private func acquireOutOfReach(_ call: AcquireRun, at place: Place) async throws -> Lease? {
    try await Task.outOfReach { try await self.acquire(call, at: place) }
  }

  /// A call's wishes, and how far it has got.
  private struct AcquireRun {
    let keys: LockKeys
    let options: LockOptions
    /// The trace of its steps, if there is one.
    let trace: AcquisitionTrace?
    var state: AcquireState
  }

  /// Where a task stands among the tasks of this process that want the same keys.
  private enum Place {
    case inLine(LocalQueues.Admission)
    /// Tasks that arrive meanwhile wait for the outcome, if this task is the leader.
    case alone(isLeader: Bool)
  }

  @concurrent private func acquire(
    _ call: consuming AcquireRun, at place: consuming Place
  ) async throws -> Lease? {
    defer { calls.end() }
    switch place {
    case .inLine(let admission): return try await acquireInTurn(call, admission: admission)
    case .alone(let isLeader): return try await acquireOnce(call, isLeader: isLeader)
    }
  }

  /// Takes keys without waiting for their holder; returns nil if there is one.
  private func acquireOnce(_ call: consuming AcquireRun, isLeader: Bool) async throws -> Lease? {
    let keys = call.keys
    do {
      let lease = try await ask(&call, action: call.state.next(at: clock.now))
      if isLeader { if let lease { settle(keys, lease) } else { _ = queues.passLead(keys) } }
      return lease
    } catch {
      if isLeader { _ = queues.passLead(keys) }
      throw error
    }
  }

  /// Waits for its turn in this process, then for the keys.
  private func acquireInTurn(
    _ call: consuming AcquireRun, admission: consuming LocalQueues.Admission
  ) async throws -> Lease {
    while true {
      if let lease = try await awaitTurn(&call, admission: admission) { return lease }
      if let error = call.state.timeUp(at: clock.now) { throw error }
      admission = queues.enter(call.keys, options: call.options, isReturning: true)
    }
  }

  /// Waits for one turn in this process; returns nil if the turn came with a lease that had ended by the time the
  /// task got to run.
  private func awaitTurn(
    _ call: inout AcquireRun, admission: LocalQueues.Admission
  ) async throws -> Lease? {
    let keys = call.keys
    switch admission {
    case .full:
      throw LockError(
        .tooManyWaiters,
        "as many tasks of this locker already wait for the lock as maxWaiters (\(queues.maxWaiters)) allows",
        keys: keys.names, phase: .acquire)
    case .closed: throw Self.closedError(keys)
    case .lead: break
    case .wait(let waiter, let ticket, let lease):
      if let lease { drawNumbers(for: lease) }
      if let end = call.state.end { deadlines.wake(waiter, at: end) }
      call.trace?.note(.waitingInProcess)
      let turn = await waiter.turn(countedBy: activity)
      if call.state.end != nil { deadlines.noteEnd() }
      switch turn {
      case .take(let lease):
        if lease.isHeld { return lease }
        release(lease, revokes: true)
        try checkOpen(keys)
        call.state.gotTurn()
        return nil
      case .lead:
        call.trace?.note(.leading)
        call.state.gotTurn()
      case .timeUp:
        queues.leave(keys, ticket)
        try checkOpen(keys)
        let (holder, trouble) = queues.situation(keys)
        throw call.state.missedTurn(holder: holder, trouble: trouble, at: clock.now)
      case .cancelled:
        queues.leave(keys, ticket)
        throw CancellationError()
      case .closed: throw Self.closedError(keys)
      }
    }
    do {
      let lease = try await lead(&call)
      settle(keys, lease)
      return lease
    } catch {
      queues.passLead(keys)?.cancel()
      throw error
    }
  }

  func settle(_ keys: LockKeys, _ lease: Lease) {
    if let lease = queues.settle(keys, lease) { drawNumbers(for: lease) }
  }

  // MARK: As the first in the process

  private func lead(_ call: inout AcquireRun) async throws -> Lease {
    let keys = call.keys
    let outlook = queues.outlook(keys)
    var entry = outlook.entry
    if let former = entry, !former.serve(call.options) {
      queues.setEntry(nil, of: keys)
      former.cancel()
      entry = nil
    }
    let now = clock.now
    // Here, too, a task that comes too late asks once, see `AcquireState.next`.
    let queuesAtOnce = outlook.isContended && call.state.timeUp(at: now) == nil
    let action: AcquireState.Action =
      entry != nil || queuesAtOnce ? .queue : call.state.next(at: now)
    guard let lease = try await ask(&call, action: action) else {
      preconditionFailure("An acquisition that waits ends with a lock or an error.")
    }
    return lease
  }

  /// Asks the store until there is an outcome; returns nil if another holder has the keys.
  private func ask(
    _ call: inout AcquireRun, action first: AcquireState.Action
  ) async throws -> Lease? {
    let keys = call.keys
    var generator = store.randomness
    var action = first
    var claim: Claim?
    while true {
      switch action {
      case .ask(let isFirst, let askedDeadline):
        guard let deadline = try await enterGate(by: askedDeadline, end: call.state.end) else {
          action = call.state.failed(
            .unreachable("other requests of this locker took all the time"), at: clock.now,
            roundTrip: store.roundTrip, using: &generator)
          continue
        }
        defer { store.gate?.leave() }
        // A token is used for one request: if the outcome stays unknown, it is given up for good.
        let asking = Claim(
          keys, token: store.makeToken(for: keys.names, label: call.options.label),
          ttl: call.options.ttl)
        claim = asking
        do throws(StoreFailure) {
          let numbers = queues.numbersWanted(keys)
          let acquisition =
            isFirst
            ? try await store.acquire(asking, numbers: numbers, by: deadline)
            : try await store.inquire(asking, numbers: numbers, by: deadline)
          action = call.state.answered(acquisition, at: clock.now)
        } catch {
          action = call.state.failed(
            error, at: clock.now, roundTrip: store.roundTrip, using: &generator)
        }
      case .queue:
        try checkOpen(keys)
        switch try await queue(&call) {
        case .goOn(let next): action = next
        case .take(let lease): return lease
        }
      case .pause(let instant):
        queues.note(call.state.trouble, of: keys)
        if let trouble = call.state.trouble {
          call.trace?.note(.retrying, ["redis_lock.cause": "\(trouble)"])
        } else {
          call.trace?.note(.polling)
        }
        let signal = Signal()
        deadlines.wake(signal, at: instant)
        // In trouble, the pause is kept even if the inbox is ready.
        if call.state.wantsToQueue, call.state.trouble == nil {
          store.prepareToWait(for: keys.names, while: { !signal.isOver }) {
            if $0 { signal.fire() }
          }
        }
        try await signal.wait(countedBy: activity)
        try checkOpen(keys)
        action =
          call.state.wantsToQueue && mayQueue(call)
          ? .queue : call.state.next(at: clock.now)
      case .take(let sentAt, let numbers):
        guard let claim else { preconditionFailure("Nothing was claimed.") }
        return try keep(
          Lease(
            claim, numbers: numbers,
            state: LeaseState(
              ttl: call.options.ttl, extend: call.options.extend, sentAt: sentAt,
              holdEnd: call.options.holdEnd(from: clock.now)),
            minHold: call.options.minHold, clock: clock, origin: .asked, onLoss: onLoss))
      case .giveBack:
        if let claim { releaser.giveBack(claim) }
        action = call.state.gaveBack(at: clock.now, roundTrip: store.roundTrip, using: &generator)
      case .leave: return nil
      case .fail(let error): throw error
      case .cancel: throw CancellationError()
      }
    }
  }

  /// Waits until the store may be asked, if it lets only some calls in at a time.
  ///
  /// Returns the deadline of the request, or nil if the call's time is up.
  private func enterGate(by deadline: Instant, end: Instant?) async throws -> Instant? {
    guard let gate = store.gate, let turn = gate.enter() else { return deadline }
    let start = clock.now
    // The deadline is there also for those that close the locker.
    deadlines.wake(turn.signal, at: end ?? start + .seconds(1 << 24))
    defer { deadlines.noteEnd() }
    do throws(CancellationError) {
      try await turn.signal.wait(countedBy: activity)
    } catch {
      if gate.endWait(turn) { gate.leave() }
      throw error
    }
    guard gate.endWait(turn) else { return nil }
    let late = deadline + start.duration(to: clock.now)
    return end.map { min(late, max($0, deadline)) } ?? late
  }

  private enum Queueing {
    case goOn(AcquireState.Action)
    case take(Lease)
  }

  /// Takes the next step of waiting in the server's queue.
  private func queue(_ call: inout AcquireRun) async throws -> Queueing {
    let (keys, options) = (call.keys, call.options)
    var generator = store.randomness
    guard let entry = try await entry(for: call) else {
      return .goOn(
        call.state.cannotQueue(at: clock.now, roundTrip: store.roundTrip, using: &generator))
    }
    call.state.heard(entry.keyState, silence: entry.trouble)
    let now = clock.now
    let next = entry.next()
    switch next {
    case .take(let sentAt, let ttl, let numbers):
      queues.note(keys, isContended: true)
      let state = LeaseState(
        ttl: options.ttl, extend: options.extend, sentAt: sentAt, takenFor: ttl,
        holdEnd: options.holdEnd(from: clock.now))
      guard state.isHeld(at: clock.now) else {
        // The task got to run too late.
        queues.setEntry(nil, of: keys)
        entry.cancel()
        return .goOn(call.state.gaveBack(at: now, roundTrip: store.roundTrip, using: &generator))
      }
      let lease = Lease(
        entry.claim(ttl: options.ttl), numbers: store.isFencing ? numbers : 0..<0, state: state,
        minHold: options.minHold, clock: clock, origin: .queued, onLoss: onLoss)
      return .take(try keep(lease, wasHandedOver: true))
    case .giveUp(let failure):
      queues.setEntry(nil, of: keys)
      entry.cancel()
      return .goOn(
        call.state.failed(failure, at: now, roundTrip: store.roundTrip, using: &generator))
    case .poll:
      if let error = call.state.timeUp(at: now) { throw error }
      entry.poll(ttl: options.ttl, numbers: queues.numbersWanted(keys))
    case .wait, .rest:
      if let error = call.state.timeUp(at: now) { throw error }
      if let holder = entry.holder {
        call.trace?.note(
          .waitingOnServer, ["redis_lock.holder": LockHolder(value: holder).description])
      }
      // An entry that rests wakes its task; the deadline is there for those that close the locker.
      let instant = if case .wait(let instant) = next { instant } else { now + .seconds(10) }
      let (until, asksThen) = call.state.wait(until: instant, at: now, roundTrip: store.roundTrip)
      try await entry.wait(for: next, until: until, wakingBy: deadlines)
      if asksThen, clock.now >= until { entry.hurry() }
    }
    return .goOn(.queue)
  }

  /// Whether a place in the server's queue is of use now.
  private func mayQueue(_ call: AcquireRun) -> Bool {
    let keys = call.keys.names
    return store.isTold(of: keys)
      || call.state.wantsToQueueUntold && store.mayQueueUntold(for: keys)
  }

  /// The entry of the keys in the server's queue; nil while waiters cannot be notified of grants.
  private func entry(for call: AcquireRun) async throws -> QueueEntry? {
    let (keys, options) = (call.keys, call.options)
    if let entry = queues.entry(keys) { return entry }
    if !store.isTold(of: keys.names), !call.state.isPolling {
      let latest = clock.now + options.retry
      let answer = Signal()
      store.prepareToWait(for: keys.names, while: nil) { _ in answer.fire() }
      if !answer.isOver {
        deadlines.wake(answer, at: call.state.end.map { min($0, latest) } ?? latest)
      }
      try await answer.wait(countedBy: activity)
    }
    guard mayQueue(call) else { return nil }
    let entry = QueueEntry(
      for: keys.names, options: options, in: store, isUntold: call.state.wantsToQueueUntold,
      refreshedBy: refresher,
      operationTimeout: operationTimeout)
    queues.setEntry(entry, of: keys)
    return entry
  }

  /// Starts to look after a newly taken lease.
  func keep(_ lease: Lease, wasHandedOver: Bool = false) throws(LockError) -> Lease {
    if extender.add(lease, wasHandedOver: wasHandedOver) { return lease }
    releaser.giveBack(lease.claim)
    throw Self.closedError(LockKeys(of: lease))
  }

  /// Handles the loss of a lease.
  static func onLoss(
    _ queues: LocalQueues, _ releaser: Releaser, _ reporter: Reporter
  ) -> @Sendable (Lease) -> Void {
    { lease in
      // Of several keys, some may be left; and if a server's clock was set back, keys outlast their lease. They
      // are freed before the next task of this process asks for them.
      if lease.claim.keys.count > 1 || lease.lossReason?.isSaidByServer != true {
        releaser.giveBack(lease.remainder)
      }
      reporter.ended(lease, lostBecause: lease.lossReason)
      queues.end(lease, LockKeys(of: lease))
    }
  }
}
