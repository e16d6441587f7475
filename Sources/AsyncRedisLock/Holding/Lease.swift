internal import Logging
internal import Synchronization

/// A lock that the store granted: its state, and who wants to know of its end.
final class Lease: Sendable {
  struct Guarded {
    var state: LeaseState
    var watchers: [Signal] = []
    /// The outcome of the last attempt to give the keys back.
    var release: ReleasePromise?
    /// The time of the entry in the extender's queue that counts.
    var scheduledFor: Instant?
    /// Fencing tokens that were drawn for handing the lease on.
    var spareNumbers: Range<UInt64>
    var isDrawingNumbers = false
    /// Why the last extension failed, in words; nil if it did not.
    var trouble: String?
    /// How late the extender was when the validity had ended; nil if it was in time.
    var delay: Duration?
    /// What the release has found, though the lease was valid.
    var foundByRelease: LossReason?
    /// The value of a key that another holder has.
    var newHolder: String?
    /// Where messages about the lease go, if not where the locker's go.
    var logger: Logger?
    /// The lease that has the token now, if this one was handed on.
    weak var successor: Lease?

    mutating func releasePromise() -> ReleasePromise {
      let promise = release ?? ReleasePromise()
      release = promise
      return promise
    }

    /// The time for a new entry in the queue; nil when the one there still serves, or when nothing
    /// will be due any more.
    mutating func nextEntry() -> Instant? {
      guard let next = state.nextEvent else { return nil }
      // An entry that comes too early looks again; one that comes too late would be missed.
      if let scheduledFor, scheduledFor <= next { return nil }
      scheduledFor = next
      return next
    }
  }

  let claim: Claim
  let fencingToken: UInt64?
  let origin: LeaseOrigin
  private let startedAt: Instant
  let clock: LockClock
  /// Until when others are kept from the keys, even if the lease is released before.
  private let keptUntil: Instant
  private let onLoss: @Sendable (Lease) -> Void
  /// What has been reported of the lease; bits of ``Remark``.
  private let reported = Atomic<UInt8>(0)
  /// Only for the extensions of this class.
  let guarded: Locked<Guarded>

  /// Creates a lease; `numbers` are the fencing tokens that were drawn for it, the first its own.
  init(
    _ claim: Claim, numbers: Range<UInt64>, state: LeaseState, minHold: Duration, clock: LockClock,
    origin: LeaseOrigin, onLoss: @escaping @Sendable (Lease) -> Void
  ) {
    self.claim = claim
    self.clock = clock
    startedAt = clock.now
    keptUntil = startedAt + minHold
    self.origin = origin
    self.onLoss = onLoss
    fencingToken = numbers.first
    guarded = Locked(Guarded(state: state, spareNumbers: numbers.dropFirst()))
  }

  /// The lease of the next holder in this process, which this one, released just now, hands on; nil when
  /// it cannot.
  func handedOn(to options: LockOptions, isFencing: Bool, roundTrip: Duration) -> Lease? {
    guarded.withLock { guarded in
      guard
        let state = LeaseState(
          handedOnBy: guarded.state, ttl: options.ttl, extend: options.extend, at: clock.now,
          roundTrip: roundTrip, holdEnd: options.holdEnd(from: clock.now)),
        !(isFencing && guarded.spareNumbers.isEmpty)
      else { return nil }
      let claim = Claim(keys: claim.keys, token: claim.token, ttl: options.ttl)
      let next = Lease(
        claim, numbers: guarded.spareNumbers, state: state, minHold: options.minHold, clock: clock,
        origin: .handedOn, onLoss: onLoss)
      guarded.successor = next
      return next
    }
  }

  /// The lease that has the token now, if this one was handed on.
  var successor: Lease? { guarded.withLock { $0.successor } }

  /// Whether fencing tokens have to be drawn before the lease can be handed on; said once.
  func beginDrawingNumbers() -> Bool {
    guarded.withLock { guarded in
      guard guarded.spareNumbers.isEmpty, !guarded.isDrawingNumbers else { return false }
      guarded.isDrawingNumbers = true
      return true
    }
  }

  /// Notes what was drawn, if anything was.
  func endDrawingNumbers(_ numbers: Range<UInt64>) {
    guarded.withLock { guarded in
      guarded.isDrawingNumbers = false
      guarded.spareNumbers = numbers
    }
  }

  /// A copy of the state, for looking at.
  var state: LeaseState { guarded.withLock { $0.state } }

  /// Whether the lease has been given back, left to another process, or found lost.
  var hasEnded: Bool { guarded.withLock { $0.state.hasEnded } }

  /// Whether the lease can be relied on now.
  var isHeld: Bool { guarded.withLock { $0.state.isHeld(at: clock.now) } }

  /// Why the last extension failed, in words; nil if it did not.
  var trouble: String? { guarded.withLock { $0.trouble } }

  /// How long ago the lease began.
  var age: Duration { startedAt.duration(to: clock.now) }

  // MARK: Being due

  /// Plans the extensions, the first at once if the lease was handed over and is not fresh; returns when the
  /// lease is due, if ever.
  func plan(roundTrip: Duration, share: Double, wasHandedOver: Bool) -> Instant? {
    guarded.withLock { guarded in
      guarded.state.planExtensions(roundTrip: roundTrip, share: share)
      if wasHandedOver { guarded.state.planConfirmation(at: clock.now) }
      return guarded.nextEntry()
    }
  }

  /// What is to be done for a lease whose time has come.
  enum Due {
    /// Look again; not at all if there is no time.
    case later(Instant?)
    /// Extend; without an outcome, look again when the validity ends.
    case extend(validUntil: Instant)
  }

  /// Looks what is due; `firedAt` is the time of an entry that was taken out of the queue for it.
  ///
  /// An extension is noted as being sent, to be answered by a deadline.
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

  /// Notes an extension that the store confirmed, and how long the keys last if far longer.
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

  /// Notes the outcome of the background extension, sent at `sentAt` if it was confirmed; returns when the
  /// lease is due again, and how late a confirmation is.
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
        // One that has just ended is not late.
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

  /// What a call to release has to do.
  enum Releasing {
    /// Give the keys back, and keep the promise with the outcome.
    case giveBack(Release, ReleasePromise)
    /// Another call does, or has done.
    case wait(ReleasePromise)
  }

  /// Ends the lease because its handle gives it back, or because closing does, which revokes it.
  func beginRelease(isAwaited: Bool, revokes: Bool = false) -> Releasing {
    let now = clock.now
    let (releasing, watchers): (Releasing, [Signal]) = guarded.withLock { guarded in
      guarded.noteDelay(at: now, since: guarded.scheduledFor)
      switch guarded.state.release(at: now, revokes: revokes) {
      case .wait: return (.wait(guarded.releasePromise()), [])
      case .giveBack(let wasValid, let isRepetition):
        guarded.release = nil
        let release = Release(
          claim: claim, keysLastUntil: guarded.state.keysLastUntil, wasValid: wasValid,
          isRepetition: isRepetition, isAwaited: isAwaited,
          keptUntil: wasValid && now < keptUntil ? keptUntil : nil)
        defer { guarded.watchers = [] }
        return (.giveBack(release, guarded.releasePromise()), guarded.watchers)
      }
    }
    for watcher in watchers { watcher.fire() }
    return releasing
  }

  /// Notes the outcome of giving the keys back; after a failure the next call tries again.
  func gaveBack(successfully isDone: Bool) {
    guarded.withLock { $0.state.gaveBack(successfully: isDone) }
  }

  /// What gives the keys back that are still the claim's, of a lease that is lost.
  var remainder: Release {
    Release(
      claim: claim, keysLastUntil: state.keysLastUntil, wasValid: false, isRepetition: false,
      isAwaited: false, keptUntil: nil)
  }

  /// Leaves the keys to another process, if they still are the lease's: it ends here, and is not released.
  func detach() -> Bool {
    let now = clock.now
    let watchers: [Signal]? = guarded.withLock { guarded in
      guard guarded.state.detach(at: now) else { return nil }
      guarded.releasePromise().fulfil(.success(.released))
      defer { guarded.watchers = [] }
      return guarded.watchers
    }
    for watcher in watchers ?? [] { watcher.fire() }
    return watchers != nil
  }

  /// How the lease has ended; nil while nothing has noted its end.
  var ending: LeaseState.Ending? { guarded.withLock { $0.state.ending } }

  /// Whether the keys have been given back, or are being.
  var isBeingReleased: Bool { guarded.withLock { $0.state.isBeingReleased } }

  // MARK: Being reported

  /// Where messages about the lease go, if not where the locker's go.
  var logger: Logger? {
    get { guarded.withLock { $0.logger } }
    set { guarded.withLock { $0.logger = newValue } }
  }

  /// Takes out where the last message goes: what the end of a handler does must not run where the lease ends.
  func takeLogger() -> Logger? { guarded.withLock { $0.logger.take() } }

  /// Whether this is said of the lease for the first time.
  func isFirst(_ remark: Remark) -> Bool {
    let bit = remark.rawValue
    return reported.bitwiseOr(bit, ordering: .sequentiallyConsistent).oldValue & bit == 0
  }

  /// Whether this has been said of the lease.
  func hasRemark(_ remark: Remark) -> Bool {
    reported.load(ordering: .sequentiallyConsistent) & remark.rawValue != 0
  }

  // MARK: Watching

  /// Fires a signal when the lease ends, at once if it has ended.
  func addWatcher(_ watcher: Signal) {
    let hasEnded = guarded.withLock { guarded in
      guard !guarded.state.hasEnded else { return true }
      guarded.watchers.append(watcher)
      return false
    }
    if hasEnded { watcher.fire() }
  }

  /// Forgets a watcher.
  func removeWatcher(_ watcher: Signal) {
    guarded.withLock { guarded in guarded.watchers.removeAll { $0 === watcher } }
  }

  func act(_ decide: (inout Guarded) -> LeaseState.Action) -> LeaseState.Action {
    let (action, watchers): (LeaseState.Action, [Signal]) = guarded.withLock { guarded in
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
