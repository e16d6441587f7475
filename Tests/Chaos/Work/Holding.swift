import AsyncRedisLock
import ChaosLog

/// The records of one call, one for each key, and the known facts about its lock.
struct Holding: Sendable {
  let keys: [Int]
  let slots: [Int]
  let log: ChaosLog
  let session: Session

  /// Notes that the keys are asked for from now on; nil if the log is full.
  ///
  /// - Parameters:
  ///   - task: The task that asks.
  ///   - keys: The numbers of the keys.
  ///   - waits: Whether the call waits for a holder.
  ///   - limit: How long the call may take; nil for no limit.
  ///   - session: The locker that is asked.
  ///   - log: Where to note it.
  init?(
    task: Int, keys: [Int], waits: Bool, limit: Duration?, _ session: Session, _ log: ChaosLog
  ) {
    var attempt = Record()
    attempt.process = ownProcessID
    attempt.task = task
    attempt.waits = waits
    attempt.isOneOfTwo = keys.count > 1
    attempt.invoked = LogClock.now
    attempt.deadline = limit.map { attempt.invoked + $0.logNanoseconds } ?? 0
    self.keys = keys
    self.log = log
    self.session = session
    slots = keys.compactMap { key in
      attempt.key = key
      return log.begin(attempt)
    }
    if slots.count < keys.count { return nil }
  }

  /// Notes another fact about the call.
  func set(_ field: Record.Field, to value: UInt64) {
    for slot in slots { log.set(field, of: slot, to: value) }
  }

  /// Notes that the call has got a lock.
  func begin(_ lock: Lock) {
    let now = LogClock.now
    set(.ended, to: now)
    set(.nonce, to: lock.token.split(separator: ":").last.flatMap { UInt64($0, radix: 16) } ?? 0)
    set(.fence, to: lock.fencingToken ?? 0)
    if !session.enter(slots) {
      // The locker is being closed, and may have released the lock by now.
      for slot in slots { log.setOnce(.releaseCalled, of: slot, to: now) }
    }
    guard check(lock) else { return }
    set(.acquired, to: now)
  }

  /// Checks whether the lock is held, and notes for how long at least.
  func check(_ lock: Lock) -> Bool {
    let now = LogClock.now
    let remaining = lock.remaining
    if remaining > .zero {
      set(.validUntil, to: now + remaining.logNanoseconds)
      set(.lastHeld, to: now)
      return true
    }
    noteLoss(of: lock)
    return false
  }

  /// Notes why the lock is gone, if it is.
  func noteLoss(of lock: Lock) {
    guard let reason = lock.lossReason else { return }
    let loss: Record.Loss = reason.isSaidByServer ? .takenAway : .expired
    let now = LogClock.now
    for slot in slots {
      log.setOnce(.loss, of: slot, to: loss.rawValue)
      log.setOnce(.lost, of: slot, to: now)
    }
  }

  /// Notes that the lock is about to be released.
  func beginRelease() {
    let now = LogClock.now
    for slot in slots { log.setOnce(.releaseCalled, of: slot, to: now) }
  }

  /// Notes that the release has returned.
  func endRelease(_ outcome: Record.Outcome) {
    set(.outcome, to: outcome.rawValue)
    set(.released, to: LogClock.now)
    session.leave(slots)
  }

  /// Notes that the call gets no lock.
  func fail(_ outcome: Record.Outcome) {
    set(.outcome, to: outcome.rawValue)
    set(.ended, to: LogClock.now)
  }
}

extension ReleaseOutcome {
  /// The outcome as it is logged.
  var logged: Record.Outcome {
    switch self {
    case .released: .released
    case .expired, .deleted: .expired
    case .takenByAnother: .takenByAnother
    }
  }
}

extension Record.Outcome {
  /// The outcome of a call that failed without a lock; nil for an error that no trouble explains.
  init?(_ error: any Error) {
    switch error {
    case is CancellationError: self = .cancelled
    case LockError.Code.timeout: self = .timeout
    case LockError.Code.unreachable: self = .unreachable
    case LockError.Code.closed: self = .closed
    // If a process is stopped between the grant and the body of `withLock`, the body does not begin.
    case LockError.Code.lost: self = .lost
    case let error as LockError
    where error.code == .refused
      && ["LOADING", "BUSY", "READONLY", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN"]
        .contains(error.serverCode ?? ""):
      self = .unreachable
    default: return nil
    }
  }
}
