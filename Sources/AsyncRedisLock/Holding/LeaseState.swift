/// The state of a lease, which decides what is due.
///
/// A pure state machine: the time is an argument, and the next action is returned.
struct LeaseState {
  private enum Phase: Equatable {
    case held
    case ended(Ending, Giving)
  }

  /// How a lease has ended.
  enum Ending: Equatable {
    case lost(LossReason)
    /// Its holder gave it back.
    case released
    /// Closing gave it back, under its holder.
    case revoked
    /// The holder left it to another process.
    case detached
  }

  /// How far giving back the keys has got.
  private enum Giving: Equatable {
    case notBegun
    case underWay(wasValid: Bool)
    /// No outcome is known; the next call tries again.
    case failed(wasValid: Bool)
    /// It succeeded, or there is nothing to give back.
    case done
  }

  /// The task of a call to release.
  enum Releasing: Equatable {
    /// Give the keys back; `wasValid` tells whether the lease was valid at the first attempt.
    case giveBack(wasValid: Bool, isRepetition: Bool)
    /// Wait for the attempt that is under way, or for nothing.
    case wait
  }

  /// The next action for a lease.
  enum Action: Equatable {
    case none
    case extend
    case lose(LossReason)
  }

  let ttl: Duration
  let extend: Duration?
  private(set) var validUntil: Instant
  /// When the command was sent that the validity counts from.
  private var confirmedAt: Instant
  /// The longest ttl that the keys were ever given.
  private(set) var longestTTL: Duration
  private var phase = Phase.held
  private var extendAt: Instant?
  /// Whether an extension in the background is under way.
  private var isExtending = false
  /// How long after a confirmation the next extension is due, with this lease's share of the stagger.
  private var interval: Duration?
  /// The time to which the next extension cuts keys that last far longer, because the server's clock was set back.
  private(set) var cutsTo: Duration?
  /// The shortest time to which a sent extension was meant to cut the keys, maybe in vain.
  private var leastCut: Duration?
  /// The time to which an extension with an unknown outcome may still cut the keys.
  private var mayBeCutTo: Duration?
  /// Until when the keys can exist, including extensions with an unknown outcome.
  private(set) var keysLastUntil: Instant
  /// When the lease is lost even though it is extended.
  let holdEnd: Instant?

  /// The share of the extension interval over which leases that were taken together are spread.
  private static let stagger = 0.1

  /// A lease that is handed over with less than this share of its ttl left is extended at once.
  private static let freshShare = 0.9

  /// Creates the state of a lease that was taken by a command sent at `sentAt`, with its ttl or with another.
  init(
    ttl: Duration, extend: Duration?, sentAt: Instant, takenFor takenTTL: Duration? = nil,
    holdEnd: Instant? = nil
  ) {
    let takenTTL = takenTTL ?? ttl
    self.ttl = ttl
    self.extend = extend
    confirmedAt = sentAt
    longestTTL = takenTTL
    self.holdEnd = holdEnd
    validUntil = Self.earlier(Self.validity(of: takenTTL, sentAt: sentAt), holdEnd)
    // The command was sent, and so executed, not long ago.
    keysLastUntil = sentAt + takenTTL + takenTTL
  }

  /// The longest time since the server's confirmation, besides a round trip, for which a lease is handed on.
  ///
  /// If a key is deleted or taken by another client, the next request notices that. Tasks that pass a lease on
  /// among themselves make no requests, so this limits how long they may be wrong. Handing on pays for critical
  /// sections shorter than this; beside longer ones, a trip to the server costs little.
  static let longestUnconfirmedHandoff = Duration.milliseconds(50)

  /// Creates the state of a lease that its former holder hands on.
  ///
  /// Returns nil if the next holder could not rely on it, if its keys might outlast the requested time, or if the
  /// server has not confirmed it lately.
  init?(
    handedOnBy former: Self, ttl: Duration, extend: Duration?, at now: Instant, roundTrip: Duration,
    holdEnd: Instant? = nil
  ) {
    guard now.duration(to: former.validUntil) >= ttl / 2, former.longestTTL <= ttl,
      former.confirmedAt.duration(to: now) <= Self.longestUnconfirmedHandoff + roundTrip
    else { return nil }
    self.holdEnd = holdEnd
    self.ttl = ttl
    self.extend = extend
    confirmedAt = former.confirmedAt
    longestTTL = former.longestTTL
    cutsTo = former.cutsTo
    leastCut = former.leastCut
    mayBeCutTo = former.mayBeCutTo
    validUntil = Self.earlier(former.validUntil, holdEnd)
    keysLastUntil = former.keysLastUntil
    // An extension of the former holder may be under way; only that holder's lease learns of its outcome.
    extensionFailed()
  }

  /// Until when a lease is valid that was taken or prolonged by a command sent at `sentAt`.
  ///
  /// The server starts to count later than that. The deduction of 1 % of the ttl and 2 ms follows the Redlock
  /// description. It allows for clocks that run at different rates, and for the server's clock, which ticks in
  /// milliseconds.
  static func validity(of ttl: Duration, sentAt: Instant) -> Instant {
    let ttl = ttl.wholeNanoseconds
    return sentAt + .nanoseconds(ttl - ttl / 100 - 2_000_000)
  }

  private static func earlier(_ instant: Instant, _ limit: Instant?) -> Instant {
    limit.map { min(instant, $0) } ?? instant
  }

  // MARK: Asking

  /// Whether the lease can be relied on.
  func isHeld(at now: Instant) -> Bool { phase == .held && now < validUntil }

  /// Why the lease is lost, if it is; a lease that was released is not lost.
  func lossReason(at now: Instant) -> LossReason? {
    switch phase {
    case .held: now < validUntil ? nil : expiry
    case .ended(.lost(let reason), _): reason
    case .ended: nil
    }
  }

  /// How the lease has ended; nil while nothing has noted its end.
  var ending: Ending? { if case .ended(let ending, _) = phase { ending } else { nil } }

  /// Whether the keys have been given back, are being given back, or need not be.
  var isBeingReleased: Bool {
    switch phase {
    case .held, .ended(_, .notBegun), .ended(_, .failed): false
    case .ended(_, .underWay), .ended(_, .done): true
    }
  }

  /// Why the lease is lost when its validity ends.
  private var expiry: LossReason { validUntil == holdEnd ? .heldTooLong : .expired }

  /// Whether nothing will ever be due again.
  var hasEnded: Bool { phase != .held }

  /// When something is due at the latest; nil once the lease has ended.
  var nextEvent: Instant? {
    guard phase == .held else { return nil }
    guard let extendAt, !isExtending else { return validUntil }
    return min(extendAt, validUntil)
  }

  // MARK: Events

  /// Takes a share of the stagger, between 0 and 1, and plans the first extension.
  mutating func planExtensions(roundTrip: Duration, share: Double) {
    interval = extend.map {
      .nanoseconds(Int64(Double($0.wholeNanoseconds) * (1 - Self.stagger * share)))
    }
    planExtension(roundTrip: roundTrip)
  }

  /// Plans the next extension after the last confirmation.
  private mutating func planExtension(roundTrip: Duration) {
    isExtending = false
    extendAt = plannedExtension(roundTrip: roundTrip)
  }

  /// When to extend, after the last confirmation.
  private func plannedExtension(roundTrip: Duration) -> Instant? {
    guard let interval else { return nil }
    // Also if it is valid until it has to end: another client may have it by then, which only an extension finds out.
    let end = validUntil == holdEnd ? Self.validity(of: ttl, sentAt: confirmedAt) : validUntil
    let margin = max(ttl.wholeNanoseconds / 4, roundTrip.wholeNanoseconds * 2)
    let planned = min(confirmedAt + interval, end - .nanoseconds(margin))
    return planned < validUntil ? planned : nil
  }

  /// How late an extension is that is confirmed now.
  func lateness(at now: Instant, roundTrip: Duration) -> Lateness? {
    guard validUntil != holdEnd, let planned = plannedExtension(roundTrip: roundTrip) else {
      return nil
    }
    return Lateness(
      delay: max(planned.duration(to: now), .zero), slack: planned.duration(to: validUntil))
  }

  /// Plans to extend a handed-over lease at once, unless it is as good as new.
  mutating func planConfirmation(at now: Instant) {
    guard validUntil != holdEnd else { return }
    if longestTTL < ttl || now.duration(to: validUntil) < ttl * Self.freshShare { extendAt = now }
  }

  /// Decides what is due; extensions may come earlier by `slack`, so that several are sent together.
  mutating func tick(at now: Instant, slack: Duration) -> Action {
    guard phase == .held else { return .none }
    guard now < validUntil else { return lose(expiry) }
    guard !isExtending, let extendAt, extendAt - min(slack, (extend ?? .zero) / 4) <= now else {
      return .none
    }
    isExtending = true
    return .extend
  }

  /// Notes an extension by `ttl` that was sent at `sentAt`.
  ///
  /// A lease is never shortened, and a lease that has been seen to be over does not come back.
  mutating func extended(by ttl: Duration, sentAt: Instant, at now: Instant) -> Action {
    guard phase == .held else { return .none }
    guard now < validUntil else { return lose(expiry) }
    confirmedAt = max(confirmedAt, sentAt)
    let ttl = mayBeCutTo.map { min($0, ttl) } ?? ttl
    validUntil = max(
      validUntil, Self.earlier(Self.validity(of: ttl, sentAt: sentAt), holdEnd))
    return .none
  }

  /// How much longer than requested keys may last; clocks of servers are set by less.
  private static let farAbove = Duration.seconds(60)

  /// Notes how long the keys last after an extension; if that is far longer than requested, they are cut the next
  /// time.
  mutating func noteRemaining(_ remaining: Duration?) {
    cutsTo = remaining.flatMap { $0 > longestTTL + Self.farAbove ? longestTTL : nil }
  }

  /// Notes that an extension has an unknown outcome: if it cuts the keys late, no longer validity is assumed.
  mutating func extensionFailed() {
    guard let leastCut else { return }
    mayBeCutTo = min(mayBeCutTo ?? leastCut, leastCut)
  }

  /// Notes that the background extension, sent at `sentAt`, was confirmed, and plans the next.
  mutating func concludeExtension(sentAt: Instant, at now: Instant, roundTrip: Duration) -> Action {
    let action = extended(by: ttl, sentAt: sentAt, at: now)
    planExtension(roundTrip: roundTrip)
    return action
  }

  /// Notes that an extension by `ttl` is about to be sent, by `deadline` at the latest.
  ///
  /// The time to which keys are cut grows with it: a key must not be cut below its assumed validity.
  mutating func willExtend(by ttl: Duration, deadline: Instant) {
    if let cutsTo { leastCut = min(leastCut ?? cutsTo, cutsTo) }
    longestTTL = max(longestTTL, ttl)
    cutsTo = cutsTo.map { max($0, longestTTL) }
    keysLastUntil = max(keysLastUntil, deadline + ttl)
  }

  /// Notes that the background extension has an unknown outcome.
  ///
  /// It is repeated soon, at most twenty times within a ttl, and until the validity ends; more often near the end.
  mutating func retryExtension(at now: Instant) {
    isExtending = false
    extensionFailed()
    let share = min(ttl / 20, max(now.duration(to: validUntil) / 4, .milliseconds(5)))
    extendAt = now + min(max(share, .milliseconds(1)), .milliseconds(250))
  }

  /// Ends the lease as lost, for good.
  mutating func lose(_ reason: LossReason) -> Action {
    guard phase == .held else { return .none }
    phase = .ended(.lost(reason), .notBegun)
    return .lose(reason)
  }

  /// Ends the lease because its handle gives it back, or because closing does, which revokes it.
  @discardableResult
  mutating func release(at now: Instant, revokes: Bool = false) -> Releasing {
    switch phase {
    case .held:
      let wasValid = now < validUntil
      let ending: Ending = wasValid ? (revokes ? .revoked : .released) : .lost(expiry)
      phase = .ended(ending, .underWay(wasValid: wasValid))
      return .giveBack(wasValid: wasValid, isRepetition: false)
    case .ended(let ending, .notBegun):
      phase = .ended(ending, .underWay(wasValid: false))
      return .giveBack(wasValid: false, isRepetition: false)
    case .ended(let ending, .failed(let wasValid)):
      phase = .ended(ending, .underWay(wasValid: wasValid))
      return .giveBack(wasValid: wasValid, isRepetition: true)
    case .ended(_, .underWay), .ended(_, .done):
      return .wait
    }
  }

  /// Notes the outcome of giving the keys back.
  mutating func gaveBack(successfully isDone: Bool) {
    guard case .ended(let ending, .underWay(let wasValid)) = phase else { return }
    phase = .ended(ending, isDone ? .done : .failed(wasValid: wasValid))
  }

  /// Ends the lease because its keys are left to another process; returns false if it is not held.
  mutating func detach(at now: Instant) -> Bool {
    guard isHeld(at: now) else { return false }
    phase = .ended(.detached, .done)
    return true
  }
}
