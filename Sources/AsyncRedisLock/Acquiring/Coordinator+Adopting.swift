extension Coordinator {
  /// Takes over keys that another holder left to any party that knows its token.
  func adopt(_ keys: LockKeys, from token: String, options: LockOptions) async throws -> Lease {
    try beginCall(keys)
    // Tasks that arrive meanwhile wait for the outcome, unless other tasks were there first.
    let isLeader = queues.enterAlone(keys)
    guard Task.canBeHeldUp else {
      return try await takeOver(keys, from: token, options: options, isLeader: isLeader)
    }
    return try await Task.outOfReach {
      try await self.takeOver(keys, from: token, options: options, isLeader: isLeader)
    }
  }

  @concurrent private func takeOver(
    _ keys: LockKeys, from token: String, options: LockOptions, isLeader: Bool
  ) async throws -> Lease {
    defer { calls.end() }
    do {
      let lease = try await takeOver(keys, from: token, options: options)
      if isLeader { settle(keys, lease) }
      return lease
    } catch {
      if isLeader { _ = queues.passLead(keys) }
      throw error
    }
  }

  private func takeOver(
    _ keys: LockKeys, from token: String, options: LockOptions
  ) async throws -> Lease {
    let deadline = clock.now + min(operationTimeout, options.ttl)
    while true {
      let claim = Claim(
        keys: keys.names, token: store.makeToken(for: keys.names, label: options.label),
        ttl: options.ttl)
      let answer: Acquisition
      do throws(StoreFailure) {
        answer = try await store.adopt(claim, from: token, numbers: 1, by: deadline)
      } catch .cancelled {
        throw CancellationError()
      } catch .notAcknowledged(let reason) {
        // The former holder's lock was given back with it.
        throw LockError(.notAcknowledged(reason), keys: keys.names, phase: .adopt)
      } catch {
        guard error.isTransient(until: deadline, at: clock.now) else {
          throw LockError(error, keys: keys.names, phase: .adopt)
        }
        try await pause(StoreFailure.transientPause)
        try checkOpen(keys)
        continue
      }
      switch answer {
      case .contended(let state):
        throw LockError(
          .lost, "the lock has expired, was taken over before, or belongs to another client",
          keys: keys.names,
          phase: .adopt, holder: state.holder.flatMap { $0.isEmpty ? nil : LockHolder(value: $0) })
      case .held(let sentAt, let numbers):
        let state = LeaseState(
          ttl: options.ttl, extend: options.extend, sentAt: sentAt,
          holdEnd: options.holdEnd(from: clock.now))
        guard state.isHeld(at: clock.now) else {
          releaser.giveBack(claim)
          throw LockError(
            .unreachable, "the answer took longer than the lock would have been valid",
            keys: keys.names, phase: .adopt)
        }
        return try keep(
          Lease(
            claim, numbers: numbers, state: state, minHold: options.minHold, clock: clock,
            origin: .adopted, onLoss: onLoss))
      }
    }
  }
}
