extension Coordinator {
  /// Takes keys without waiting for their holder; nil when there is one.
  func takeOnce(
    _ keys: LockKeys, _ plan: AcquirePlan, _ options: LockOptions
  ) async throws -> Lease? {
    // Those who come meanwhile wait for the outcome, unless others are at it before.
    let isLeader = queues.enterAlone(keys)
    return try await takeOnce(keys, plan, options, isLeader: isLeader)
  }

  @concurrent private func takeOnce(
    _ keys: LockKeys, _ plan: AcquirePlan, _ options: LockOptions, isLeader: Bool
  ) async throws -> Lease? {
    var plan = plan
    do {
      let lease = try await ask(keys, &plan, options, action: plan.next(at: clock.now))
      if isLeader { if let lease { settle(keys, lease) } else { _ = queues.passLead(keys) } }
      return lease
    } catch {
      if isLeader { _ = queues.passLead(keys) }
      throw error
    }
  }

  /// Waits for the turn in this process, then for the keys.
  func takeInTurn(
    _ keys: LockKeys, _ plan: AcquirePlan, _ options: LockOptions
  ) async throws -> Lease {
    try await takeInTurn(keys, plan, options, entry: queues.enter(keys, options: options))
  }

  @concurrent private func takeInTurn(
    _ keys: LockKeys, _ plan: AcquirePlan, _ options: LockOptions, entry: LocalQueues.Entry
  ) async throws -> Lease {
    var (plan, entry) = (plan, entry)
    while true {
      if let lease = try await takeTurn(keys, &plan, options, entry: entry) { return lease }
      if let error = plan.timeUp(at: clock.now) { throw error }
      entry = queues.enter(keys, options: options)
    }
  }

  /// Waits for one turn in this process; nil when it came with a lease that had ended by the time the task got to run.
  private func takeTurn(
    _ keys: LockKeys, _ plan: inout AcquirePlan, _ options: LockOptions, entry: LocalQueues.Entry
  ) async throws -> Lease? {
    switch entry {
    case .full:
      throw LockError(
        .tooManyWaiters,
        "as many tasks of this locker wait for the lock as maxWaiters (\(queues.maxWaiters)) allows",
        keys: keys.names, phase: .acquire)
    case .closed: throw Self.closedError(keys)
    case .lead: break
    case .wait(let waiter, let ticket, let lease):
      if let lease { drawNumbers(for: lease) }
      if let end = plan.end { extender.wake(waiter, at: end) }
      plan.trace?.note(.waitingInProcess)
      let turn = await waiter.turn(countedBy: activity)
      if plan.end != nil { extender.noteEnd() }
      switch turn {
      case .take(let lease):
        if lease.isHeld { return lease }
        release(lease, revokes: true)
        try checkOpen(keys)
        plan.gotTurn()
        return nil
      case .lead:
        plan.trace?.note(.leading)
        plan.gotTurn()
      case .timeUp:
        queues.leave(keys, ticket)
        try checkOpen(keys)
        let (holder, trouble) = queues.situation(keys)
        throw plan.missedTurn(holder: holder, trouble: trouble, at: clock.now)
      case .cancelled:
        queues.leave(keys, ticket)
        throw CancellationError()
      case .closed: throw Self.closedError(keys)
      }
    }
    do {
      let lease = try await lead(keys, &plan, options)
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

  private func lead(
    _ keys: LockKeys, _ plan: inout AcquirePlan, _ options: LockOptions
  ) async throws -> Lease {
    var place = queues.place(keys)
    if let former = place, !former.serve(options) {
      queues.setPlace(nil, of: keys)
      former.cancel()
      place = nil
    }
    let now = clock.now
    // A task that comes too late asks once also here, see `AcquirePlan.next`.
    let queuesAtOnce = queues.isContended(keys) && plan.timeUp(at: now) == nil
    let action: AcquirePlan.Action = place != nil || queuesAtOnce ? .queue : plan.next(at: now)
    guard let lease = try await ask(keys, &plan, options, action: action) else {
      preconditionFailure("An acquisition that waits ends with a lock or an error.")
    }
    return lease
  }

  /// Asks the store until there is an outcome; nil when somebody else holds the keys.
  private func ask(
    _ keys: LockKeys, _ plan: inout AcquirePlan, _ options: LockOptions,
    action first: AcquirePlan.Action
  ) async throws -> Lease? {
    var generator = SystemRandomNumberGenerator()
    var action = first
    var claim: Claim?
    while true {
      switch action {
      case .ask(let isFirst, let deadline):
        // A token is used for one question: should its outcome stay unknown, it is given up for good.
        let former = Mutant.tokenUsedAgain.isActive ? claim?.token : nil
        let asking = Claim(
          keys: keys.names, token: former ?? store.makeToken(label: options.label), ttl: options.ttl
        )
        claim = asking
        do throws(StoreFailure) {
          let numbers = queues.numbersWanted(keys)
          let acquisition =
            isFirst
            ? try await store.acquire(asking, numbers: numbers, by: deadline)
            : try await store.inquire(asking, numbers: numbers, by: deadline)
          action = plan.answered(acquisition, at: clock.now)
        } catch {
          action = plan.failed(error, at: clock.now, roundTrip: store.roundTrip, using: &generator)
        }
      case .queue:
        try checkOpen(keys)
        switch try await queue(keys, &plan, options) {
        case .goOn(let next): action = next
        case .take(let lease): return lease
        }
      case .pause(let instant):
        queues.note(plan.trouble, of: keys)
        if let trouble = plan.trouble {
          plan.trace?.note(.retrying, ["redis_lock.cause": "\(trouble)"])
        } else {
          plan.trace?.note(.polling)
        }
        let promise = Promise<Bool>()
        extender.wake(promise, at: instant)
        // In trouble a pause is a pause, though the inbox is ready.
        if plan.wantsToQueue, plan.trouble == nil {
          store.prepareToWait { if $0 { promise.fulfil(true) } }
        }
        try await promise.wait(countedBy: activity)
        try checkOpen(keys)
        action = plan.wantsToQueue && store.isTold ? .queue : plan.next(at: clock.now)
      case .take(let sentAt, let numbers):
        guard let claim else { preconditionFailure("Nothing was claimed.") }
        return try keep(
          Lease(
            claim, numbers: numbers,
            state: LeaseState(
              ttl: options.ttl, extend: options.extend, sentAt: sentAt,
              holdEnd: options.holdEnd(from: clock.now)),
            minHold: options.minHold, clock: clock, origin: .asked, onLoss: onLoss))
      case .giveBack:
        if let claim { extender.giveBack(claim) }
        action = plan.gaveBack(at: clock.now, roundTrip: store.roundTrip, using: &generator)
      case .leave: return nil
      case .fail(let error): throw error
      case .cancel: throw CancellationError()
      }
    }
  }

  private enum Queueing {
    case goOn(AcquirePlan.Action)
    case take(Lease)
  }

  /// Does the next step of waiting in the server's queue.
  private func queue(
    _ keys: LockKeys, _ plan: inout AcquirePlan, _ options: LockOptions
  ) async throws -> Queueing {
    var generator = SystemRandomNumberGenerator()
    guard let place = try await place(for: keys, plan, options) else {
      return .goOn(
        plan.cannotQueue(at: clock.now, roundTrip: store.roundTrip, using: &generator))
    }
    plan.heard(from: place)
    let now = clock.now
    let next = place.next()
    switch next {
    case .take(let sentAt, let ttl, let numbers):
      queues.note(keys, isContended: true)
      let state = LeaseState(
        ttl: options.ttl, extend: options.extend, sentAt: sentAt, takenFor: ttl,
        holdEnd: options.holdEnd(from: clock.now))
      guard state.isHeld(at: clock.now) else {
        // The task got to run too late.
        queues.setPlace(nil, of: keys)
        place.cancel()
        return .goOn(plan.gaveBack(at: now, roundTrip: store.roundTrip, using: &generator))
      }
      let lease = Lease(
        place.claim(ttl: options.ttl), numbers: store.isFencing ? numbers : 0..<0, state: state,
        minHold: options.minHold, clock: clock, origin: .queued, onLoss: onLoss)
      return .take(try keep(lease, wasHandedOver: true))
    case .giveUp(let failure):
      queues.setPlace(nil, of: keys)
      place.cancel()
      return .goOn(
        plan.failed(failure, at: now, roundTrip: store.roundTrip, using: &generator))
    case .poll:
      if let error = plan.timeUp(at: now) { throw error }
      place.poll(ttl: options.ttl, numbers: queues.numbersWanted(keys))
    case .wait(let instant):
      if let error = plan.timeUp(at: now) { throw error }
      if let holder = place.holder {
        plan.trace?.note(.waitingOnServer, ["redis_lock.holder": holder])
      }
      let (until, asksThen) = plan.wait(until: instant, at: now, roundTrip: store.roundTrip)
      try await place.wait(for: next, until: until, wakingBy: extender)
      if asksThen, clock.now >= until { place.hurry() }
    }
    return .goOn(.queue)
  }

  /// The place of the keys in the server's queue; nil while grants cannot be told.
  private func place(
    for keys: LockKeys, _ plan: AcquirePlan, _ options: LockOptions
  ) async throws -> Place? {
    if let place = queues.place(keys) { return place }
    if !store.isTold, !plan.isPolling {
      let latest = clock.now + options.retry
      let answer = Promise<Bool>()
      store.prepareToWait { _ in answer.fulfil(true) }
      if !answer.isKept { extender.wake(answer, at: plan.end.map { min($0, latest) } ?? latest) }
      try await answer.wait(countedBy: activity)
    }
    guard store.isTold else { return nil }
    let place = Place(
      for: keys.names, options: options, in: store, operationTimeout: operationTimeout)
    queues.setPlace(place, of: keys)
    return place
  }

  /// Looks after a lease that was just taken.
  func keep(_ lease: Lease, wasHandedOver: Bool = false) throws(LockError) -> Lease {
    if extender.add(lease, wasHandedOver: wasHandedOver) { return lease }
    extender.giveBack(lease.claim)
    throw Self.closedError(LockKeys(of: lease))
  }

  var onLoss: @Sendable (Lease) -> Void {
    { [queues, reporter] lease in
      reporter.ended(lease, lostBecause: lease.lossReason)
      queues.end(lease, LockKeys(of: lease))
    }
  }
}
