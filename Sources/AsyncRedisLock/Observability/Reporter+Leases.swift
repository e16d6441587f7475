internal import Logging
internal import Synchronization

/// Reports about leases, from their beginning to their end.
extension Reporter {
  /// Runs a body under a lock.
  func hold<Value: Sendable>(
    _ lease: Lease, _ body: () async -> Result<Value, any Error>
  ) async -> Result<Value, any Error> {
    #if Tracing
      await tracer.hold(lease, body)
    #else
      await body()
    #endif
  }

  // MARK: Extending

  /// Notes an extension; warns if it was so late that the lock was nearly lost.
  func extended(_ lease: Lease, _ lateness: Lateness) {
    if lateness.isSerious, lease.isFirst(.late) {
      warn(.extensionLate, by: lease.logger) {
        (
          "A lock was extended late: more than half of the time that was left had passed",
          lease.metadata([
            "redis-lock.late": "\(lateness.delay.roundedForMessage)",
            "redis-lock.slack": "\(lateness.slack.roundedForMessage)",
          ])
        )
      }
    }
    #if Metrics
      if isMeasured {
        queue.add(isSample: true) { [metrics] in metrics.extended(late: lateness.delay) }
      }
    #endif
  }

  /// Warns that locks cannot be extended; `affected` finds out which, on the queue of the reports.
  func extensionFailed(_ cause: String, affected: @escaping @Sendable () -> [Lease]) {
    warn(.extensionFailed) {
      ("An extension failed and will be repeated", ["redis-lock.cause": "\(cause)"])
    } saying: { [clock] in
      let leases = affected()
      let count = leases.count
      guard count > 0 else {
        return (
          "Cannot extend locks; all have ended meanwhile",
          ["redis-lock.cause": "\(cause)", "redis-lock.locks": "0"]
        )
      }
      let locks = count == 1 ? "1 lock" : "\(count) locks"
      let end = leases.lazy.map(\.state.validUntil).min() ?? clock.now
      let left = max(clock.now.duration(to: end), .zero).roundedForMessage
      return (
        "Cannot extend \(locks); \(count == 1 ? "it" : "first") expires in \(left)",
        ["redis-lock.cause": "\(cause)", "redis-lock.locks": "\(count)"]
      )
    }
  }

  // MARK: Ending

  /// Notes that a lease has ended; reports it only the first time.
  ///
  /// `isByTask` tells that a task has ended it; a log handler then takes that task's time.
  func ended(_ lease: Lease, lostBecause reason: LossReason?, isByTask: Bool = false) {
    guard lease.isFirst(.ended) else { return }
    let held = lease.age
    if let reason {
      reportLoss(lease, reason, held: held)
    } else if isByTask {
      reportRelease(lease, held: held)
    } else {
      queue.add { [self] in reportRelease(lease, held: held) }
    }
  }

  /// Warns that the last handle of a lease went away while it was held.
  func dropped(_ lease: Lease) {
    guard lease.isFirst(.ended) else { return }
    let held = lease.age
    warn(.lockDropped, by: lease.takeLogger()) {
      let keys = lease.claim.keys.map(\.abbreviatedForMessage).joined(separator: ", ")
      return (
        "The lock on \(keys) was dropped after \(held.roundedForMessage) without release()",
        lease.metadata(["redis-lock.held": "\(held.roundedForMessage)"])
      )
    }
    noteEnd(held: held, lostBecause: nil)
  }

  /// Warns that a lease was lost, as found only by its release.
  func lossFound(_ lease: Lease, _ reason: LossReason) {
    guard lease.isFirst(.lossFound) else { return }
    warnOfLoss(lease, reason, held: lease.age, by: lease.logger)
    #if Metrics
      queue.add { [metrics] in metrics.lost(reason) }
    #endif
  }

  /// Notes that no further message about a released lease will come, once both the end and the outcome are known.
  func answered(_ lease: Lease) { letGo(lease, isFirst: lease.noteStep(.answered)) }

  /// Releases a logger on the queue where its handler may block, and not where the lease ends.
  private func letGo(_ lease: Lease, isFirst: Bool) {
    guard !isFirst, lease.hasLogger else { return }
    queue.add { withExtendedLifetime(lease.takeLogger()) {} }
  }

  private func reportRelease(_ lease: Lease, held: Duration) {
    defer { letGo(lease, isFirst: lease.noteStep(.told)) }
    (lease.logger ?? logger).debug(
      "Released",
      metadata: metadata(lease.metadata(["redis-lock.held": "\(held.roundedForMessage)"])))
    #if Metrics
      metrics.ended(held: held, lostBecause: nil)
    #endif
  }

  private func reportLoss(_ lease: Lease, _ reason: LossReason, held: Duration) {
    warnOfLoss(lease, reason, held: held, by: lease.takeLogger())
    noteEnd(held: held, lostBecause: reason)
  }

  private func warnOfLoss(
    _ lease: Lease, _ reason: LossReason, held: Duration,
    by logger: @autoclosure @escaping @Sendable () -> Logger?
  ) {
    let explanation = lease.lossExplanation ?? "\(reason)"
    let holder = lease.newHolder
    let trouble = reason == .expired ? lease.trouble : nil
    warn(.lockLost, by: logger()) {
      var metadata: Logger.Metadata = [
        "redis-lock.reason": "\(reason)", "redis-lock.held": "\(held.roundedForMessage)",
      ]
      if let trouble { metadata["redis-lock.cause"] = "\(trouble)" }
      if let holder { metadata["redis-lock.holder"] = "\(holder)" }
      return ("A lock was lost: \(explanation)", lease.metadata(metadata))
    }
  }

  private func noteEnd(held: Duration, lostBecause reason: LossReason?) {
    #if Metrics
      queue.add { [metrics] in metrics.ended(held: held, lostBecause: reason) }
    #endif
  }
}

extension Lease {
  /// A remark that is made about a lease only once.
  enum Remark: UInt8 {
    case ended = 1
    case late = 2
    case lossFound = 4
    /// Its release has been reported.
    case told = 8
    /// The outcome of its release is known.
    case answered = 16
  }

  /// Notes one of the last two steps; returns whether it is the first of them.
  fileprivate func noteStep(_ step: Remark) -> Bool {
    _ = isFirst(step)
    return !(hasRemark(.told) && hasRemark(.answered))
  }

  func metadata(_ more: Logger.Metadata) -> Logger.Metadata {
    var metadata = more
    metadata["redis-lock.keys"] = Reporter.list(claim.keys)
    metadata["redis-lock.token"] = "\(claim.token)"
    if let label = LockHolder(value: claim.token).label {
      metadata["redis-lock.label"] = "\(label)"
    }
    if let fencingToken { metadata["redis-lock.fencing-token"] = "\(fencingToken)" }
    return metadata
  }
}

/// How late an extension was confirmed.
struct Lateness: Equatable {
  /// From when it was planned until it was confirmed.
  let delay: Duration
  /// From when it was planned until the lock would have been lost.
  let slack: Duration

  var isSerious: Bool { delay > slack / 2 }
}
