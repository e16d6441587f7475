extension Locker {
  /// Leaves a record beside each key of a lock, kept alive like the lock until the handle is released.
  ///
  /// - Throws: ``LockError`` when the server does not take it; the lock is none the worse for it.
  package func record(_ lock: Lock, since: Int64) async throws -> Lock {
    let claim = lock.lease.claim
    let record = LockRecord(token: claim.token, since: since, fencingToken: lock.fencingToken)
    let names = ServerKeys(prefix: keyPrefix)
    let keys = claim.keys.map(names.record)
    // A record may outlast its lock, if that ended with its process.
    _ = try await ask([["DEL"] + keys])
    let recording = Claim(keys: keys, token: record.text, ttl: claim.ttl)
    do throws(StoreFailure) {
      let deadline = coordinator.clock.now + coordinator.operationTimeout
      let store = coordinator.store
      guard case .held(let sentAt, _) = try await store.inquire(recording, numbers: 1, by: deadline)
      else { throw .unintelligible("somebody else leaves a record") }
      let state = LeaseState(ttl: claim.ttl, extend: claim.ttl / 3, sentAt: sentAt)
      let lease = Lease(
        recording, numbers: 0..<0, state: state, minHold: .zero, clock: store.clock, origin: .asked,
        onLoss: { _ in })
      // A record is no lock, and its end is not reported as one's.
      _ = lease.isFirst(.ended)
      _ = coordinator.extender.add(lease)
      return Lock(lease, coordinator: coordinator)
    } catch {
      throw LockError(error, keys: keys, phase: .acquire)
    }
  }

  /// What the holder of a lock says of it, if it says anything.
  package func record(of status: LockStatus) async throws -> LockRecord? {
    let name = ServerKeys(prefix: keyPrefix).record(of: status.key)
    guard case .string(let text)? = try await ask([["GETRANGE", name, "0", "600"]]).first,
      let record = LockRecord(parsing: text), record.token == status.holder.value
    else { return nil }
    return record
  }
}

extension Lock {
  /// Whether the lock ends at the time that ``LockOptions/maxHold`` sets, also if it is extended.
  package var isLimitedByMaxHold: Bool {
    let state = lease.state
    return state.validUntil == state.holdEnd
  }
}
