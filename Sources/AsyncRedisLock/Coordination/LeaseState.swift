/// What is known about a lease, and what is due.
///
/// A pure state machine: the time is an argument, and what is to be done is returned.
struct LeaseState {
  private enum Phase: Equatable {
    case held
    case lost(LossReason)
    case released
  }

  /// What has to be done for a lease.
  enum Action: Equatable {
    case none
    case extend
    case lose(LossReason)
  }

  let ttl: Duration
  let extend: Duration?
  /// The handle that the lease belongs to: a lease may pass from one to the next, and the former must
  /// not release it then.
  private(set) var generation: UInt64 = 0
  private(set) var validUntil: Instant
  private var phase = Phase.held
  private var extendAt: Instant?
  /// While an extension is under way: when to look again whether the validity has ended.
  private var lookAt: Instant?
  /// Until when the keys can exist, counting extensions whose outcome is unknown.
  private(set) var keysLastUntil: Instant

  /// The share of the extension interval by which leases that were taken together are spread.
  private static let stagger = 0.1

  /// How often to look at a lease with an extension under way; often enough that no more than a few
  /// entries per lease wait in the timetable, however long the ttl.
  private static let lookInterval = Duration.seconds(1)

  init(ttl: Duration, extend: Duration?, sentAt: Instant) {
    self.ttl = ttl
    self.extend = extend
    validUntil = Self.validity(of: ttl, sentAt: sentAt)
    // The command was sent not long ago, so it has been executed not long ago.
    keysLastUntil = sentAt + ttl * 2
  }

  /// Until when a lease is valid that was taken or prolonged by a command sent at `sentAt`.
  ///
  /// The server starts to count later than that. What is taken off, 1 % of the ttl and 2 ms, allows for
  /// clocks that run at different rates and for the server's clock ticking in milliseconds, as in the
  /// Redlock description.
  static func validity(of ttl: Duration, sentAt: Instant) -> Instant {
    sentAt + ttl - (ttl / 100 + .milliseconds(2))
  }

  // MARK: Asking

  /// Whether the lease can be relied on.
  func isHeld(at now: Instant) -> Bool { phase == .held && now < validUntil }

  /// Why the lease is lost, if it is; a lease that was released is not lost.
  func lossReason(at now: Instant) -> LossReason? {
    switch phase {
    case .lost(let reason): reason
    case .held: now < validUntil ? nil : .expired
    case .released: nil
    }
  }

  /// Whether nothing will ever be due again.
  var hasEnded: Bool { phase != .held }

  /// When something is due at the latest; nil once the lease has ended.
  var nextEvent: Instant? {
    guard phase == .held else { return nil }
    return min(lookAt ?? extendAt ?? validUntil, validUntil)
  }

  // MARK: Events

  /// Plans the first or the next extension after one that was sent at `sentAt`.
  ///
  /// `share` is random between 0 and 1.
  mutating func planExtension(sentAt: Instant, roundTrip: Duration, share: Double) {
    guard let extend else { return }
    let regular = sentAt + extend * (1 - Self.stagger * share)
    extendAt = min(regular, validUntil - max(ttl / 4, roundTrip * 2))
  }

  /// Looks what is due; extensions may come earlier by `slack`, so that several go out together.
  mutating func tick(at now: Instant, slack: Duration) -> Action {
    guard phase == .held else { return .none }
    guard now < validUntil else { return lose(.expired) }
    if let lookAt {
      if lookAt <= now { self.lookAt = now + Self.lookInterval }
      return .none
    }
    guard let extend, let extendAt, extendAt - min(slack, extend / 4) <= now else { return .none }
    lookAt = now + Self.lookInterval
    return .extend
  }

  /// Notes an extension by `ttl` that was sent at `sentAt`; a lease is never shortened, and one that
  /// has been seen to be over does not come back.
  mutating func extended(by ttl: Duration, sentAt: Instant, at now: Instant) -> Action {
    guard phase == .held else { return .none }
    guard now < validUntil else { return lose(.expired) }
    validUntil = max(validUntil, Self.validity(of: ttl, sentAt: sentAt))
    return .none
  }

  /// Notes that the background extension has an outcome.
  mutating func endExtension() { lookAt = nil }

  /// Notes that an extension by `ttl` is about to be sent, by `deadline` at the latest.
  mutating func willExtend(by ttl: Duration, deadline: Instant) {
    keysLastUntil = max(keysLastUntil, deadline + ttl)
  }

  /// Notes that nobody knows whether the background extension worked: it is repeated soon, twenty times
  /// within a ttl at the most, and until the validity ends.
  mutating func retryExtension(at now: Instant) {
    lookAt = nil
    extendAt = now + min(max(ttl / 20, .milliseconds(1)), .milliseconds(250))
  }

  /// Ends the lease as lost, for good.
  mutating func lose(_ reason: LossReason) -> Action {
    guard phase == .held else { return .none }
    phase = .lost(reason)
    return .lose(reason)
  }

  /// Ends the lease because its handle gives it back; false when it is not the handle's any more.
  mutating func release(generation: UInt64, at now: Instant) -> Bool {
    guard generation == self.generation else { return false }
    if phase == .held { phase = now < validUntil ? .released : .lost(.expired) }
    return true
  }
}
