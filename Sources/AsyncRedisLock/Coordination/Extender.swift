internal import Dispatch
internal import Synchronization

/// Keeps the leases of one locker alive, notices when they end, and wakes who waits for an instant.
///
/// One timer and one heap for all of them, on a queue of its own and off the cooperative pool: a program
/// that blocks every thread of the pool keeps its locks.
final class Extender: Sendable {
  /// What can be due.
  private enum Item: Sendable {
    case lease(Lease)
    case wake(any Alarm)
    /// Wake when the lease has no more than this left.
    case warn(Promise<Bool>, Lease, margin: Duration)
  }

  private typealias Entry = Timetable<Item>.Entry

  private struct State {
    var timetable = Timetable<Item>()
    /// What was taken out of the timetable and has not been dealt with.
    var firing: [Entry] = []
    var timer: (any DispatchSourceTimer)?
    var armedFor: Instant?
    var isClosed = false

    /// Sets the timer for what is due next, unless it is set for an earlier instant.
    ///
    /// Under the lock, so that a later alarm never replaces an earlier one.
    mutating func arm() {
      guard let due = timetable.nextDue else { return }
      if let armedFor, armedFor <= due { return }
      let now = ContinuousClock.now
      let alarm = min(due, now + Extender.farthestAlarm)
      armedFor = alarm
      let nanoseconds = Int(max(now.duration(to: alarm), .zero).wholeNanoseconds)
      timer?.schedule(deadline: .now() + .nanoseconds(nanoseconds), leeway: .milliseconds(1))
    }
  }

  /// Extensions that are due this soon go out with those that are due now.
  private static let slack = Duration.milliseconds(5)
  /// How many leases go into one question: enough that its cost is shared, and few enough that the server,
  /// which does nothing else meanwhile, is through in a fifth of a millisecond.
  private static let batchSize = 100
  /// The timer's clock stops while the machine sleeps, and that of the leases does not.
  private static let farthestAlarm = Duration.seconds(1)

  private let store: any LockStore
  private let operationTimeout: Duration
  private let state = Mutex(State())
  private let planned = Atomic<UInt64>(0)

  init(store: any LockStore, operationTimeout: Duration) {
    self.store = store
    self.operationTimeout = operationTimeout
    // High priority, because a host program that blocks all default queues must not stop its locks.
    let queue = DispatchQueue(label: "async-redis-lock.extender", qos: .userInteractive)
    state.withLock { state in
      let source = DispatchSource.makeTimerSource(queue: queue)
      source.setEventHandler { @Sendable [weak self] in self?.fire() }
      // A source that was never activated must not be released.
      source.activate()
      state.timer = source
    }
  }

  deinit { state.withLock { $0.timer?.cancel() } }

  // MARK: What is asked of it

  /// Looks after a lease, which may have been handed over by another holder; false when closed.
  func add(_ lease: Lease, wasHandedOver: Bool = false) -> Bool {
    lease.plan(roundTrip: store.roundTrip, share: nextShare(), wasHandedOver: wasHandedOver)
    guard let due = lease.nextEntry() else { return true }
    return enter(.lease(lease), due: due, unlessClosed: true)
  }

  /// Rings an alarm at an instant, or at once when closed.
  func wake(_ alarm: any Alarm, at instant: Instant) {
    if !enter(.wake(alarm), due: instant, unlessClosed: true) { alarm.ring() }
  }

  /// Notes that an alarm or a lease in the timetable has ended.
  func noteEnd() { state.withLock { $0.timetable.noteEnd(hasEnded: Self.hasEnded) } }

  /// Fulfils the promise when a lease has no more than `margin` left.
  func warn(_ promise: Promise<Bool>, of lease: Lease, margin: Duration) {
    let state = lease.state
    let due = state.validUntil - margin
    guard due > .now, !state.hasEnded else {
      promise.fulfil(true)
      return
    }
    enter(.warn(promise, lease, margin: margin), due: due)
  }

  /// Prolongs a lease now, by more than its ttl if asked to; the completion tells whether it is still ours.
  func extend(
    _ lease: Lease, by ttl: Duration, drawing numbers: Int = 0,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void
  ) {
    let patience = min(operationTimeout, lease.claim.ttl)
    let deadline = min(.now + patience, lease.state.validUntil)
    lease.willExtend(by: ttl, deadline: deadline)
    let one = Extension(claim: lease.claim, ttl: ttl)
    store.extend([one], numbers: numbers, by: deadline) { result in
      if case .success(let extended) = result, extended.isOurs[0] {
        lease.extended(by: ttl, sentAt: extended.sentAt)
      }
      completion(result)
    }
  }

  /// Wakes all who wait, refuses what comes later, and returns the leases that are still held.
  func close() -> [Lease] {
    let items = state.withLock { state in
      state.isClosed = true
      return state.timetable.items + state.firing.map(\.item)
    }
    var leases: [Lease] = []
    for item in items {
      switch item {
      case .wake(let alarm): alarm.ring()
      case .warn: break
      case .lease(let lease):
        // One that is being released right now may not have been handed to the store yet.
        if !lease.state.hasEnded || lease.isBeingReleased { leases.append(lease) }
      }
    }
    return leases
  }

  // MARK: The timer

  private func fire() {
    let now = ContinuousClock.now
    let due = state.withLock { state in
      state.armedFor = nil
      state.firing = state.timetable.removeDue(by: now + Self.slack)
      return state.firing
    }
    let deadline = now + operationTimeout
    var (leases, entries): ([Lease], [Entry]) = ([], [])
    for entry in due {
      switch entry.item {
      case .wake(let alarm):
        if entry.due <= now { alarm.ring() } else { entries.append(entry) }
      case .warn(let promise, let lease, let margin):
        warn(promise, of: lease, margin: margin)
      case .lease(let lease):
        switch lease.tick(at: now, slack: Self.slack, deadline: deadline) {
        case .none, .lose: break
        case .extend: leases.append(lease)
        }
        if let due = lease.nextEntry(after: entry.due) {
          entries.append(Entry(due: due, item: entry.item))
        }
      }
    }
    for start in stride(from: 0, to: leases.count, by: Self.batchSize) {
      extend(Array(leases[start..<min(start + Self.batchSize, leases.count)]), at: now)
    }
    state.withLock { state in
      state.firing = []
      for entry in entries { state.timetable.add(entry.item, due: entry.due) }
      state.arm()
    }
  }

  /// Extends leases in the background, all in one question.
  private func extend(_ leases: [Lease], at now: Instant) {
    let extensions = leases.map { Extension(claim: $0.claim, ttl: $0.claim.ttl) }
    let longest = extensions.lazy.map(\.ttl).max() ?? .zero
    let deadline = now + min(operationTimeout, longest)
    store.extend(extensions, numbers: 0, by: deadline) { [weak self] result in
      self?.conclude(leases, result)
    }
  }

  /// Notes what became of extensions in the background, and plans the next.
  private func conclude(_ leases: [Lease], _ result: Result<Extended, StoreFailure>) {
    let (now, roundTrip) = (ContinuousClock.now, store.roundTrip)
    var entries: [Entry] = []
    entries.reserveCapacity(leases.count)
    for (index, lease) in leases.enumerated() {
      switch result {
      case .failure: lease.retryExtension(at: now)
      case .success(let extended) where extended.isOurs[index]:
        lease.concludeExtension(
          sentAt: extended.sentAt, roundTrip: roundTrip, share: nextShare())
      case .success:
        lose(lease)
        continue
      }
      if let due = lease.nextEntry() { entries.append(Entry(due: due, item: .lease(lease))) }
    }
    state.withLock { state in
      for entry in entries { state.timetable.add(entry.item, due: entry.due) }
      state.arm()
    }
  }

  /// Ends a lease of which the server said that it is not ours.
  func lose(_ lease: Lease) {
    // One key lost is the lock lost; the others must not stay behind.
    if lease.lose(.takenAway), lease.claim.keys.count > 1 { giveBack(lease.remainder) { _ in } }
  }

  /// Gives the keys of a claim back.
  func giveBack(
    _ release: Release,
    completion: @escaping @Sendable (Result<ReleaseReport, StoreFailure>) -> Void
  ) {
    let deadline = ContinuousClock.now + min(operationTimeout, release.claim.ttl)
    store.release(release, by: deadline, completion: completion)
  }

  /// Gives back what was granted and is of no use.
  func giveBack(_ claim: Claim) {
    let end = ContinuousClock.now + claim.ttl
    let release = Release(claim: claim, keysLastUntil: end, wasValid: false, isRepetition: false)
    giveBack(release) { _ in }
  }

  /// A lease's own share of the stagger, between 0 and 1; all of them together are spread evenly.
  private func nextShare() -> Double {
    // Multiples of the golden ratio never come close to each other.
    let share = planned.wrappingAdd(0x9E37_79B9_7F4A_7C15, ordering: .relaxed).newValue
    return Double(share >> 11) / Double(1 << 53)
  }

  // MARK: The timetable

  private static func hasEnded(_ item: Item) -> Bool {
    switch item {
    case .lease(let lease), .warn(_, let lease, margin: _): lease.state.hasEnded
    case .wake(let alarm): alarm.isOver
    }
  }

  /// Enters an item; false when it was refused because of closing.
  @discardableResult
  private func enter(_ item: Item, due: Instant, unlessClosed: Bool = false) -> Bool {
    state.withLock { state in
      guard !(unlessClosed && state.isClosed) else { return false }
      state.timetable.add(item, due: due)
      state.arm()
      return true
    }
  }
}
