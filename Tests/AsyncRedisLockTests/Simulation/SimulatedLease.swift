@testable import AsyncRedisLock

/// A lock that is held, extended and given back, as ``Lease`` and ``Extender`` do.
final class SimulatedLease {
  let keys: [Int]
  let token: Int
  let fence: UInt64
  /// When the acquisition began that it goes back to.
  private let askedAt: Int64
  private let spareNumbers: Range<UInt64>
  private let locker: SimulatedLocker
  private(set) var state: LeaseState
  /// Whether it was valid when it was given back.
  private(set) var wasValid = false
  /// Called when the lease is lost.
  private let onLoss: () -> Void

  init(
    _ keys: [Int], _ token: Int, _ numbers: Range<UInt64>, _ state: LeaseState,
    in locker: SimulatedLocker, askedAt: Int64, wasHandedOver: Bool, onLoss: @escaping () -> Void
  ) {
    self.keys = keys
    self.token = token
    self.locker = locker
    self.onLoss = onLoss
    self.state = state
    self.askedAt = askedAt
    fence = numbers.lowerBound
    spareNumbers = numbers.dropFirst()
    self.state.planExtensions(
      roundTrip: .milliseconds(1), share: Double(locker.world.pick(100)) / 100)
    if wasHandedOver { self.state.planConfirmation(at: locker.now) }
    locker.leases.append(self)
    locker.world.noteHeld(self, askedAt: askedAt)
    schedule()
  }

  /// Whether the holder relies on it.
  var isHeld: Bool { state.isHeld(at: locker.now) }

  // MARK: Keeping

  private func schedule() {
    guard let next = state.nextEvent else { return }
    locker.at(max(locker.time(of: next), locker.world.now)) { [self] in tick() }
  }

  private func tick() {
    switch state.tick(at: locker.now, slack: .milliseconds(20)) {
    case .none: if state.nextEvent.map({ $0 <= locker.now }) ?? false { schedule() }
    case .lose: lost()
    case .extend:
      // Should there be no outcome: the end of the validity.
      schedule()
      extend(by: state.ttl) { [self] sentAt in
        var action = LeaseState.Action.none
        if let sentAt {
          action = state.concludeExtension(
            sentAt: sentAt, at: locker.now, roundTrip: .milliseconds(1))
        } else {
          state.retryExtension(at: locker.now)
        }
        if case .lose = action { lost() } else { schedule() }
      }
    }
  }

  /// Prolongs the lease by call.
  func prolong(by ttl: Duration) {
    extend(by: ttl) { [self] sentAt in
      guard let sentAt else { return }
      if case .lose = state.extended(by: ttl, sentAt: sentAt, at: locker.now) { lost() }
    }
  }

  private func extend(by ttl: Duration, conclude: @escaping (Instant?) -> Void) {
    let world = locker.world
    let deadline =
      world.now + min(SimulatedLocker.operationTimeout, state.ttl.wholeMilliseconds * 1000)
    state.willExtend(by: ttl, deadline: locker.now + .microseconds(deadline - world.now))
    locker.submit(
      SimulatedRequest(
        .extend(keys: keys, token: token, ttl: ttl.wholeMilliseconds, numbers: 0),
        deadline: deadline
      ) { [self] answer, sentAt in
        guard case .extended(let isOurs, _)? = answer else { return conclude(nil) }
        if isOurs {
          conclude(sentAt)
        } else if case .lose = state.lose(.takenAway) {
          lost()
        }
      })
  }

  private func lost() {
    locker.world.count(\.lost)
    if keys.count > 1 { locker.submit(locker.cleanUp(keys, token, until: keysLastUntil)) }
    onLoss()
  }

  private var keysLastUntil: Int64 { locker.time(of: state.keysLastUntil) }

  // MARK: Giving back

  /// Ends the lease and hands it on to the next in the process, if that is possible; nil otherwise.
  func handOn(to options: LockOptions, onLoss: @escaping () -> Void) -> SimulatedLease? {
    guard isHeld else { return nil }
    var former = state
    former.release(at: locker.now)
    guard !spareNumbers.isEmpty,
      let next = LeaseState(
        handedOnBy: former, ttl: options.ttl, extend: options.extend, at: locker.now,
        roundTrip: .milliseconds(1))
    else { return nil }
    end()
    locker.world.count(\.handedOn)
    return SimulatedLease(
      keys, token, spareNumbers, next, in: locker, askedAt: askedAt, wasHandedOver: true,
      onLoss: onLoss)
  }

  /// Gives the keys back.
  func release(completion: @escaping () -> Void) {
    wasValid = isHeld
    end()
    let end = max(keysLastUntil, locker.world.now)
    let patience = min(SimulatedLocker.operationTimeout, state.ttl.wholeMilliseconds * 1000)
    locker.submit(
      SimulatedRequest(
        .release(keys: keys, token: token, leaves: false), deadline: locker.world.now + patience,
        isRepeatable: true, undo: { [self] in locker.cleanUp(keys, token, until: end) }
      ) { [self] answer, _ in
        locker.places[token] = nil
        if case .released(let released)? = answer {
          locker.world.noteReleased(self, released)
        }
        completion()
      })
  }

  private func end() {
    state.release(at: locker.now)
    locker.leases.removeAll { $0 === self }
  }
}
