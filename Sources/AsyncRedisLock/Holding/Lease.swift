internal import Logging
internal import Synchronization

/// A lock that the store granted: its state, and the watchers of its end.
final class Lease: Sendable {
  struct Guarded {
    var state: LeaseState
    var watchers: [any EndWatcher] = []
    /// The outcome of the last attempt to give the keys back.
    var release: ReleasePromise?
    /// The time of the valid entry in the extender's queue.
    var scheduledFor: Instant?
    /// Fencing tokens that were drawn for handing the lease on.
    var spareNumbers: Range<UInt64>
    var isDrawingNumbers = false
    /// Why the last extension failed, in words; nil if it succeeded.
    var trouble: String?
    /// How late the extender was after the end of the validity; nil if it was in time.
    var delay: Duration?
    /// The loss that the release has found, though the lease was valid.
    var foundByRelease: LossReason?
    /// The value of a key that another holder has.
    var newHolder: String?
    /// The logger for messages about the lease, if it is not the locker's.
    var logger: Logger?
    /// The lease that has the token now, if this one was handed on.
    weak var successor: Lease?

    mutating func releasePromise() -> ReleasePromise {
      let promise = release ?? ReleasePromise()
      release = promise
      return promise
    }

    /// The time for a new entry in the queue; nil if the present entry still serves, or if nothing will be due any
    /// more.
    mutating func nextEntry() -> Instant? {
      guard let next = state.nextEvent else { return nil }
      // If an entry comes too early, the lease is checked again; if it came too late, the event would be missed.
      if let scheduledFor, scheduledFor <= next { return nil }
      scheduledFor = next
      return next
    }
  }

  let claim: Claim
  let fencingToken: UInt64?
  let origin: LeaseOrigin
  /// Whether the token may have been in a queue of the server.
  private let hasQueued: Bool
  private let startedAt: Instant
  let clock: LockClock
  /// Until when other clients are kept from the keys, even if the lease is released before.
  private let keptUntil: Instant
  private let onLoss: @Sendable (Lease) -> Void
  /// The remarks made about the lease; bits of ``Remark``.
  private let reported = Atomic<UInt8>(0)
  /// For the extensions of this class only.
  let guarded: Locked<Guarded>

  /// Creates a lease; `numbers` are the fencing tokens that were drawn for it, the first its own.
  init(
    _ claim: Claim, numbers: Range<UInt64>, state: LeaseState, minHold: Duration, clock: LockClock,
    origin: LeaseOrigin, hasQueued: Bool = false, onLoss: @escaping @Sendable (Lease) -> Void
  ) {
    self.claim = claim
    self.clock = clock
    startedAt = clock.now
    keptUntil = startedAt + minHold
    self.origin = origin
    self.hasQueued = hasQueued || origin == .queued
    self.onLoss = onLoss
    fencingToken = numbers.first
    guarded = Locked(Guarded(state: state, spareNumbers: numbers.dropFirst()))
  }

  /// Creates the lease of the next holder in this process, after the release of this one; returns nil if it cannot
  /// be handed on.
  func handedOn(to options: LockOptions, isFencing: Bool, roundTrip: Duration) -> Lease? {
    guarded.withLock { guarded in
      guard
        let state = LeaseState(
          handedOnBy: guarded.state, ttl: options.ttl, extend: options.extend, at: clock.now,
          roundTrip: roundTrip, holdEnd: options.holdEnd(from: clock.now)),
        !(isFencing && guarded.spareNumbers.isEmpty)
      else { return nil }
      let claim = Claim(claim.lockKeys, token: claim.token, ttl: options.ttl)
      let next = Lease(
        claim, numbers: guarded.spareNumbers, state: state, minHold: options.minHold, clock: clock,
        origin: .handedOn, hasQueued: hasQueued, onLoss: onLoss)
      guarded.successor = next
      return next
    }
  }

  /// The lease that has the token now, if this one was handed on.
  var successor: Lease? { guarded.withLock { $0.successor } }

  /// Whether fencing tokens must be drawn before the lease can be handed on; true only once.
  func beginDrawingNumbers() -> Bool {
    guarded.withLock { guarded in
      guard guarded.spareNumbers.isEmpty, !guarded.isDrawingNumbers else { return false }
      guarded.isDrawingNumbers = true
      return true
    }
  }

  /// Notes the drawn numbers, if any.
  func endDrawingNumbers(_ numbers: Range<UInt64>) {
    guarded.withLock { guarded in
      guarded.isDrawingNumbers = false
      guarded.spareNumbers = numbers
    }
  }

  /// A copy of the state, for reading.
  var state: LeaseState { guarded.withLock { $0.state } }

  /// Whether the lease has been given back, left to another process, or found lost.
  var hasEnded: Bool { guarded.withLock { $0.state.hasEnded } }

  /// Whether the lease can be relied on now.
  var isHeld: Bool { guarded.withLock { $0.state.isHeld(at: clock.now) } }

  /// Why the last extension failed, in words; nil if it succeeded.
  var trouble: String? { guarded.withLock { $0.trouble } }

  /// How long ago the lease began.
  var age: Duration { startedAt.duration(to: clock.now) }

  // MARK: Being due

  /// Plans the extensions, the first at once if the lease was handed over and is not fresh.
  ///
  /// Returns when the lease is due, if ever.
  func plan(roundTrip: Duration, share: Double, wasHandedOver: Bool) -> Instant? {
    guarded.withLock { guarded in
      guarded.state.planExtensions(roundTrip: roundTrip, share: share)
      if wasHandedOver { guarded.state.planConfirmation(at: clock.now) }
      return guarded.nextEntry()
    }
  }

  /// The action for a lease whose time has come.
  enum Due {
    /// Check again at this time; if nil, never.
    case later(Instant?)
    /// Extend; if there is no outcome, check again when the validity ends.
    case extend(validUntil: Instant)
  }

  /// Decides what is due; `firedAt` is the time of the queue entry that was taken out for it.
  ///
  /// If the answer is to extend, the extension is noted as sent, to be answered by a deadline.
  func fire(
    _ firedAt: Instant?, at now: Instant, slack: Duration, deadline: Instant
  ) -> Due {
    var due = Due.later(nil)
    _ = act { guarded in
      guarded.noteDelay(at: now, since: firedAt)
      if guarded.scheduledFor == firedAt { guarded.scheduledFor = nil }
      let action = guarded.state.tick(at: now, slack: slack)
      if action == .extend {
        guarded.state.willExtend(by: guarded.state.ttl, deadline: deadline)
        due = .extend(validUntil: guarded.state.validUntil)
      } else {
        due = .later(guarded.nextEntry())
      }
      return action
    }
    return due
  }

  // MARK: Outcomes

  /// Notes an extension that the store confirmed, and how long the keys last if that is far longer.
  func extended(by ttl: Duration, sentAt: Instant, remaining: Duration?) {
    _ = act { guarded in
      guarded.state.noteRemaining(remaining)
      return guarded.state.extended(by: ttl, sentAt: sentAt, at: clock.now)
    }
  }

  /// Notes an extension without an outcome.
  func extensionFailed() { guarded.withLock { $0.state.extensionFailed() } }

  /// Notes that an extension is about to be sent.
  func willExtend(by ttl: Duration, deadline: Instant) {
    guarded.withLock { $0.state.willExtend(by: ttl, deadline: deadline) }
  }

  /// Notes the outcome of the background extension, sent at `sentAt` if it was confirmed.
  ///
  /// Returns when the lease is due again, and how late a confirmation is.
  func concludeExtension(
    sentAt: Instant?, remaining: Duration?, at now: Instant, roundTrip: Duration,
    trouble: String? = nil
  ) -> (due: Instant?, lateness: Lateness?) {
    var (next, lateness) = (Instant?.none, Lateness?.none)
    _ = act { guarded in
      var action = LeaseState.Action.none
      guarded.trouble = trouble
      if let sentAt {
        guarded.state.noteRemaining(remaining)
        // A lease that has just ended is not late.
        if guarded.state.isHeld(at: now) {
          lateness = guarded.state.lateness(at: now, roundTrip: roundTrip)
        }
        action = guarded.state.concludeExtension(sentAt: sentAt, at: now, roundTrip: roundTrip)
      } else {
        guarded.state.retryExtension(at: now)
      }
      next = guarded.nextEntry()
      return action
    }
    return (next, lateness)
  }

  /// The task of a call to release.
  enum Releasing {
    /// Give the keys back, and keep the promise with the outcome.
    case giveBack(Release, ReleasePromise)
    /// Another call gives them back, or has done so.
    case wait(ReleasePromise)
  }

  /// Ends the lease because its handle gives it back, or because closing does, which revokes it.
  func beginRelease(isAwaited: Bool, revokes: Bool = false) -> Releasing {
    let now = clock.now
    var watchers: [any EndWatcher] = []
    let releasing: Releasing = guarded.withLock { guarded in
      guarded.noteDelay(at: now, since: guarded.scheduledFor)
      switch guarded.state.release(at: now, revokes: revokes) {
      case .wait: return .wait(guarded.releasePromise())
      case .giveBack(let wasValid, let isRepetition):
        guarded.release = nil
        let release = Release(
          claim: claim, validUntil: guarded.state.validUntil,
          keysLastUntil: guarded.state.keysLastUntil, wasValid: wasValid,
          isRepetition: isRepetition, isAwaited: isAwaited,
          keptUntil: wasValid && now < keptUntil ? keptUntil : nil, hasQueued: hasQueued)
        swap(&watchers, &guarded.watchers)
        return .giveBack(release, guarded.releasePromise())
      }
    }
    for watcher in watchers { watcher.fire() }
    return releasing
  }

  /// Notes the outcome of giving the keys back; after a failure, the next call tries again.
  func gaveBack(successfully isDone: Bool) {
    guarded.withLock { $0.state.gaveBack(successfully: isDone) }
  }

  /// The release of those keys that a lost lease still has.
  var remainder: Release {
    let state = state
    return Release(
      claim: claim, validUntil: state.validUntil, keysLastUntil: state.keysLastUntil,
      wasValid: false, isRepetition: false, isAwaited: false, keptUntil: nil, hasQueued: hasQueued)
  }

  /// Leaves the keys to another process, if the lease still has them; it ends here, without a release.
  func detach() -> Bool {
    let now = clock.now
    let watchers: [any EndWatcher]? = guarded.withLock { guarded in
      guard guarded.state.detach(at: now) else { return nil }
      guarded.releasePromise().fulfil(.success(.released))
      defer { guarded.watchers = [] }
      return guarded.watchers
    }
    for watcher in watchers ?? [] { watcher.fire() }
    return watchers != nil
  }

  /// What an extension that is sent now asks for.
  var extensionTerms: Extension.Terms {
    guarded.withLock { .init(isWanted: !$0.state.hasEnded, longest: $0.state.cutsTo) }
  }

  /// How the lease has ended; nil while nothing has noted its end.
  var ending: LeaseState.Ending? { guarded.withLock { $0.state.ending } }

  /// Whether the keys have been given back, or are being given back.
  var isBeingReleased: Bool { guarded.withLock { $0.state.isBeingReleased } }

  // MARK: Being reported

  /// The logger for messages about the lease, if it is not the locker's.
  var logger: Logger? {
    get { guarded.withLock { $0.logger } }
    set { guarded.withLock { $0.logger = newValue } }
  }

  /// Whether it has a logger of its own; this makes no copy.
  var hasLogger: Bool { guarded.withLock { $0.logger != nil } }

  /// Takes out the logger for the last message: the end of its handler must not run where the lease ends.
  func takeLogger() -> Logger? { guarded.withLock { $0.logger.take() } }

  /// A report that was dropped has left the logger here, and the end of its handler may block.
  deinit {
    guard hasLogger else { return }
    // Moved, since a reference that stays here could be the last one.
    let last = Locked<Logger?>(nil)
    guarded.withLock { guarded in last.withLock { $0 = guarded.logger.take() } }
    ProgramExecutor.shared.run { _ = last.withLock { $0.take() } }
  }

  /// Whether this remark is made about the lease for the first time.
  func isFirst(_ remark: Remark) -> Bool {
    let bit = remark.rawValue
    return reported.bitwiseOr(bit, ordering: .sequentiallyConsistent).oldValue & bit == 0
  }

  /// Whether this remark has been made about the lease.
  func hasRemark(_ remark: Remark) -> Bool {
    reported.load(ordering: .sequentiallyConsistent) & remark.rawValue != 0
  }

  // MARK: Watching

  /// Tells a watcher when the lease ends, at once if it has ended.
  func addWatcher(_ watcher: any EndWatcher) {
    let hasEnded = guarded.withLock { guarded in
      guard !guarded.state.hasEnded else { return true }
      guarded.watchers.append(watcher)
      return false
    }
    if hasEnded { watcher.fire() }
  }

  /// Forgets a watcher.
  func removeWatcher(_ watcher: any EndWatcher) {
    guarded.withLock { guarded in guarded.watchers.removeAll { $0 === watcher } }
  }

  func act(_ decide: (inout Guarded) -> LeaseState.Action) -> LeaseState.Action {
    let (action, watchers): (LeaseState.Action, [any EndWatcher]) = guarded.withLock { guarded in
      let action = decide(&guarded)
      guard case .lose = action else { return (action, []) }
      defer { guarded.watchers = [] }
      return (action, guarded.watchers)
    }
    for watcher in watchers { watcher.fire() }
    if case .lose = action { onLoss(self) }
    return action
  }
}
