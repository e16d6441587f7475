extension Checker {
  /// Keys that were free for too long while a waiter waited for that key alone.
  ///
  /// An outage is allowed its own length, the reconnecting, and a lock granted to a waiter that could not be told.
  /// A process that is stopped is allowed the locks that it was granted.
  public var gapFindings: [Finding] {
    let waits = Dictionary(grouping: history.attempts, by: \.key).mapValues { attempts in
      Intervals(
        attempts.lazy.filter { $0.waits && !$0.isOneOfTwo && $0.ended > 0 }
          .map { (start: $0.invoked, end: $0.acquired > 0 ? $0.acquired : $0.ended) })
    }
    return history.holdings.sorted { $0.key < $1.key }.flatMap { key, holdings in
      Intervals(holdings.lazy.map { (start: $0.acquired, end: $0.end) }).gaps.compactMap { gap in
        let waited = waits[key]?.length(from: gap.start, to: gap.end) ?? 0
        guard waited > allowedGap(from: gap.start, to: gap.end) else { return nil }
        return Finding(
          .gap,
          "Key \(key) was free for \((gap.end - gap.start).inSeconds) s from \(gap.start) on, although"
            + " a call waited for \(waited.inSeconds) s of that.")
      }
    }
  }

  private func allowedGap(from start: UInt64, to end: UInt64) -> UInt64 {
    let outageTime = outages.length(from: start, to: end)
    let outageCount = UInt64(outages.count(from: start, to: end))
    return limits.ttl + limits.gap + outageTime + outageCount * (limits.ttl + .milliseconds(1000))
      + UInt64(min(stallCount(from: start, to: end), 4)) * limits.ttl
  }

  /// Calls that took longer than allowed, or have not returned.
  public var latenessFindings: [Finding] {
    let killed = Set(history.episodes(.kill).map(\.process))
    return history.attempts.compactMap { attempt in
      if attempt.ended == 0 {
        guard !killed.contains(attempt.process) else { return nil }
        return Finding(.late, "A call has not returned:", attempt)
      }
      if attempt.acquired == 0 {
        return isLate(attempt.ended, attempt.deadline, since: attempt.invoked, attempt.process)
          ? Finding(.late, "A call returned too late:", attempt) : nil
      }
      guard attempt.releaseCalled > 0 else { return nil }
      if attempt.released == 0 {
        guard !killed.contains(attempt.process) else { return nil }
        return Finding(.late, "A release has not returned:", attempt)
      }
      let deadline = attempt.releaseCalled + limits.operationTimeout
      return isLate(attempt.released, deadline, since: attempt.releaseCalled, attempt.process)
        ? Finding(.late, "A release returned too late:", attempt) : nil
    }
  }

  private func isLate(
    _ instant: UInt64, _ deadline: UInt64, since start: UInt64, _ process: Int32
  ) -> Bool {
    // A deadline of 0 means none.
    deadline > 0
      && instant > deadline + limits.slack + stallTime(of: process, from: start, to: instant)
  }

  /// Locks that the server has taken away from holders that could rely on them.
  public var lossFindings: [Finding] {
    history.attempts.compactMap { attempt in
      guard attempt.isHolding else { return nil }
      let isTaken = attempt.loss == .takenAway && attempt.lost < attempt.validUntil
      let isGone =
        (attempt.outcome == .expired || attempt.outcome == .takenByAnother)
        && attempt.released < attempt.validUntil
      let end = max(attempt.lost, attempt.released)
      guard isTaken || isGone, !mayBeForgotten(from: attempt.invoked, to: end) else { return nil }
      return Finding(
        .loss, "A lock was gone before its time:", attempt, near: context(of: attempt, until: end))
    }
  }

  /// What happened to the same key and the server around a holding.
  private func context(of attempt: Record, until end: UInt64) -> [String] {
    let second: UInt64 = 1_000_000_000
    let (from, to) = (attempt.invoked - min(attempt.invoked, second), end + second)
    let others = history.attempts.filter {
      $0.key == attempt.key && $0.slot != attempt.slot && $0.acquired > from && $0.acquired < to
    }
    let episodes = history.episodes.filter { $0.start < to && $0.end > from }
    return others.map { "also \($0.line)" }
      + episodes.map { "\($0.kind) of process \($0.process) from \($0.start) to \($0.end)" }
  }

  /// The longest time taken by a call that got its lock.
  public var longestWait: UInt64 {
    history.attempts.lazy.filter { $0.acquired > 0 }.map { $0.acquired - $0.invoked }.max() ?? 0
  }

  /// How often a key went to a waiter that had asked for it before its holder gave it back.
  public var handoffs: Int {
    history.holdings.values.reduce(0) { sum, holdings in
      sum + zip(holdings, holdings.dropFirst()).count { $1.invoked < $0.end }
    }
  }
}
