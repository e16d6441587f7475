extension Coordinator {
  /// Ends a lease: hands it on to a task that waits in this process, or gives its keys back.
  ///
  /// `isAwaited` tells that a task waits for the outcome, `revokes` that the holder did not ask for it, and
  /// `isDropped` that no handle is left.
  @discardableResult
  func release(
    _ lease: Lease, isAwaited: Bool = false, revokes: Bool = false, isDropped: Bool = false
  ) -> ReleasePromise {
    // Closing must not miss a release that has not been handed to the store yet.
    _ = calls.begin(until: .closed)
    switch lease.beginRelease(isAwaited: isAwaited, revokes: revokes) {
    case .wait(let promise):
      calls.end()
      return promise
    case .giveBack(let release, let promise):
      if release.wasValid, !release.isRepetition, release.keptUntil == nil, handOn(lease) {
        lease.gaveBack(successfully: true)
        promise.fulfil(.success(.released))
        reporter.answered(lease)
      } else {
        giveBack(lease, release, promise)
      }
      extender.noteEnd()
      calls.end()
      // After all that, because a log handler may block.
      if isDropped, release.wasValid, !release.isRepetition {
        reporter.dropped(lease)
      } else {
        reporter.ended(
          lease, lostBecause: release.wasValid ? nil : lease.lossReason,
          isByTask: !revokes && !isDropped)
      }
      return promise
    }
  }

  private func handOn(_ lease: Lease) -> Bool {
    let (isFencing, roundTrip) = (store.isFencing, store.roundTrip)
    let (isDone, next) = queues.handOn(lease, LockKeys(of: lease)) { options in
      lease.handedOn(to: options, isFencing: isFencing, roundTrip: roundTrip)
    } start: { next in
      _ = extender.add(next, wasHandedOver: true)
    }
    if let next { drawNumbers(for: next) }
    return isDone
  }

  private func giveBack(
    _ lease: Lease, _ release: Release, _ promise: ReleasePromise
  ) {
    let keys = LockKeys(of: lease)
    var release = release
    release.isPlain =
      lease.origin == .asked && release.wasValid && !release.isRepetition
      && release.keptUntil == nil && keys.names.count == 1 && !queues.isContended(keys)
    let wasValid = release.wasValid
    releaser.giveBack(release) { [queues, reporter] result in
      let outcome: ReleasePromise.Value
      switch result {
      case .success(let report):
        lease.gaveBack(successfully: true)
        queues.note(LockKeys(of: lease), isContended: report.isContended)
        let value = lease.judge(report, wasValid: wasValid)
        outcome = .success(value)
        if value != .released, let reason = lease.lossFoundByRelease {
          reporter.lossFound(lease, reason)
        }
      case .failure(let failure):
        lease.gaveBack(successfully: false)
        outcome = .failure(failure)
      }
      reporter.answered(lease)
      promise.fulfil(outcome)
    }
    if let end = release.keptUntil { free(lease, at: end) }
    // After the release, so that the next task in this process does not encounter it.
    queues.end(lease, keys)
  }

  /// Frees the keys of a lease that was released before its minimum time.
  private func free(_ lease: Lease, at end: Instant) {
    let action = TimedAction(at: end, by: clock) { [releaser] in
      releaser.giveBack(lease.remainder)
    }
    deadlines.wake(action, at: end, until: .closing)
  }

  /// Leaves a lease to another process; returns false if it has ended.
  func detach(_ lease: Lease) -> Bool {
    guard lease.detach() else { return false }
    queues.end(lease, LockKeys(of: lease))
    extender.noteEnd()
    store.stopListening(for: lease.claim)
    reporter.answered(lease)
    reporter.ended(lease, lostBecause: nil, isByTask: true)
    return true
  }

  /// Draws fencing tokens for handing a lease on, if it has none left.
  func drawNumbers(for lease: Lease) {
    guard store.isFencing, lease.beginDrawingNumbers() else { return }
    let count = queues.numbersWanted(LockKeys(of: lease))
    extender.extend(lease, by: lease.claim.ttl, drawing: count) { result in
      lease.endDrawingNumbers((try? result.get())?.numbers ?? 0..<0)
    }
  }
}

extension LockKeys {
  /// The keys of a lease.
  init(of lease: Lease) { self = lease.claim.lockKeys }
}
