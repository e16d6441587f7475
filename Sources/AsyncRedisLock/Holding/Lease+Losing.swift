internal import Synchronization

/// How a lease is lost, and why.
extension Lease {
  /// Why the lease is lost, if it is, even if only its release has found that.
  var lossReason: LossReason? {
    guarded.withLock { $0.foundByRelease ?? $0.state.lossReason(at: clock.now) }
  }

  /// The other holder of a key, if the server has named it.
  var newHolder: LockHolder? {
    guarded.withLock { $0.newHolder }.flatMap { $0.isEmpty ? nil : LockHolder(value: $0) }
  }

  /// How late the extender was when it found the validity over; nil if it was in time.
  var delay: Duration? {
    guarded.withLock { guarded in
      guarded.noteDelay(at: clock.now, since: guarded.scheduledFor)
      return guarded.delay
    }
  }

  /// Ends the lease as lost, maybe to another holder; false when it had ended before.
  @discardableResult
  func lose(_ reason: LossReason, to holder: String? = nil) -> Bool {
    let action = act { guarded in
      let action = guarded.state.lose(reason)
      if action != .none { guarded.newHolder = holder }
      return action
    }
    return action == .lose(reason)
  }

  /// Decides what the store's report on a release means for the lease; the report may be the first to show a loss.
  ///
  /// If a key is gone after the end of the validity, it has expired.
  func judge(_ report: ReleaseReport, wasValid: Bool) -> ReleaseOutcome {
    guard report.outcome != .released else { return .released }
    let now = clock.now
    return guarded.withLock { guarded in
      if report.outcome == .takenByAnother { guarded.newHolder = report.holder }
      let isLate = !wasValid || now >= guarded.state.validUntil
      if isLate {
        let isKnown = guarded.state.lossReason(at: now) == .deleted
        return report.outcome == .deleted && !isKnown ? .expired : report.outcome
      }
      guarded.foundByRelease = LossReason(report.outcome)
      return report.outcome
    }
  }

  /// The loss that only the release has found; nil if there was none.
  var lossFoundByRelease: LossReason? { guarded.withLock { $0.foundByRelease } }

  // MARK: Explaining

  /// Why the lease is lost, as the end of a sentence; nil if it is not.
  var lossExplanation: String? {
    switch lossReason {
    case nil: nil
    case .deleted?:
      "the server says that \(claim.keys.count > 1 ? "one of its keys" : "its key") was deleted"
    case .takenByAnother?: "the server says that \(newHolderName) has it"
    case .heldTooLong?: "it was held for as long as maxHold allows"
    default: expiryExplanation
    }
  }

  private var newHolderName: String {
    newHolder?.name(seenBy: LockHolder(value: claim.token).lockerID) ?? "another holder"
  }

  private var expiryExplanation: String {
    if let delay { return "this process did not run for \(delay.roundedForMessage)" }
    guard state.extend != nil else { return "its validity ended, and it is not extended" }
    return trouble.map { "it could not be extended in time: \($0)" }
      ?? "its validity ended without a confirmed extension"
  }
}

extension Lease.Guarded {
  /// Notes how late the extender is for an instant at which it was due, if the validity is over by now.
  mutating func noteDelay(at now: Instant, since due: Instant?) {
    let validUntil = state.validUntil
    guard !state.hasEnded, now >= validUntil else { return }
    let late = (due ?? validUntil).duration(to: now)
    if late >= (trouble == nil ? Self.seriousDelay : Self.longDelay) { delay = late }
  }

  /// A timer is this late only if the process is hardly running, or not at all.
  private static let seriousDelay = Duration.milliseconds(100)

  /// A delay that is a better explanation than a failed extension.
  private static let longDelay = Duration.seconds(1)
}
