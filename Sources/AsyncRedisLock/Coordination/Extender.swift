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
    case warn(Warning)
    case batch(Batch)
  }

  /// Leases whose extension is under way; looked at one by one only if that has no outcome in time.
  private final class Batch: Sendable {
    let leases: [Lease]
    /// Only ever set under the lock of the timetable.
    let isConcluded = Atomic<Bool>(false)

    init(_ leases: [Lease]) { self.leases = leases }
  }

  /// Somebody to wake when a lease has no more than a margin left.
  private final class Warning: Sendable {
    let promise: Promise<Bool>
    let lease: Lease
    let margin: Duration

    init(_ promise: Promise<Bool>, _ lease: Lease, margin: Duration) {
      self.promise = promise
      self.lease = lease
      self.margin = margin
    }
  }

  private typealias Entry = Timetable<Item>.Entry

  /// What is still taken in.
  private enum Stage: Comparable {
    case open
    /// No leases and no alarms, but for what has to do with leases that go on.
    case closing
    case closed
  }

  private struct State {
    var timetable = Timetable<Item>()
    /// What was taken out of the timetable and has not been dealt with.
    var firing: [Entry] = []
    var timer: (any WakeTimer)?
    var armedFor: Instant?
    var stage = Stage.open

    /// Sets the timer for what is due next, unless it is set for an earlier instant.
    ///
    /// Under the lock, so that a later alarm never replaces an earlier one.
    mutating func arm(by clock: LockClock) {
      guard let due = timetable.nextDue else { return }
      // An alarm that should have come some time ago has got lost: Dispatch does that.
      if let armedFor, armedFor <= due, clock.now < armedFor + Extender.longestDelay { return }
      let alarm = min(due, clock.now + Extender.farthestAlarm)
      armedFor = alarm
      timer?.set(for: alarm)
    }
  }

  /// Extensions that are due this soon go out with those that are due now.
  private static let slack = Duration.milliseconds(20)
  /// How many leases go into one question: enough that its cost is shared, and few enough that the server,
  /// which does nothing else meanwhile, is through in a fifth of a millisecond.
  private static let batchSize = 100
  /// An alarm that is later than this does not come any more, as far as anybody can tell.
  private static let longestDelay = Duration.milliseconds(100)
  /// The timer's clock stops while the machine sleeps, and that of the leases does not.
  private static let farthestAlarm = Duration.seconds(1)

  private let store: any LockStore
  private let clock: LockClock
  private let operationTimeout: Duration
  private let reporter: Reporter
  private let state = Mutex(State())
  private let planned = Atomic<UInt64>(0)

  init(store: any LockStore, operationTimeout: Duration, reporter: Reporter) {
    self.store = store
    self.reporter = reporter
    self.operationTimeout = operationTimeout
    clock = store.clock
    state.withLock { $0.timer = clock.makeTimer { [weak self] in self?.fire() } }
  }

  deinit { state.withLock { $0.timer?.cancel() } }

  // MARK: What is asked of it

  /// Looks after a lease, which may have been handed over by another holder; false when closed.
  func add(_ lease: Lease, wasHandedOver: Bool = false) -> Bool {
    let due = lease.plan(
      roundTrip: store.roundTrip, share: nextShare(), wasHandedOver: wasHandedOver)
    guard let due else { return true }
    return enter(.lease(lease), due: due, notPast: .open)
  }

  /// Rings an alarm at an instant, or at once when closed; `isForHolders` tells one that is set also while leases
  /// go on after the closing has begun.
  func wake(_ alarm: any Alarm, at instant: Instant, isForHolders: Bool = false) {
    let stage = isForHolders ? Stage.closing : .open
    if !enter(.wake(alarm), due: instant, notPast: stage) { alarm.ring() }
  }

  /// Notes that an alarm or a lease in the timetable has ended.
  func noteEnd() { state.withLock { $0.timetable.noteEnd(hasEnded: Self.hasEnded) } }

  /// Fulfils the promise when a lease has no more than `margin` left.
  func warn(_ promise: Promise<Bool>, of lease: Lease, margin: Duration) {
    let state = lease.state
    let due = state.validUntil - margin
    guard due > clock.now, !state.hasEnded, !promise.isKept else {
      promise.fulfil(true)
      return
    }
    enter(.warn(Warning(promise, lease, margin: margin)), due: due)
  }

  /// Prolongs a lease now, by more than its ttl if asked to; the completion tells whether it is still ours.
  func extend(
    _ lease: Lease, by ttl: Duration, drawing numbers: Int = 0,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void
  ) {
    let patience = min(operationTimeout, lease.claim.ttl)
    let deadline = min(clock.now + patience, lease.state.validUntil)
    lease.willExtend(by: ttl, deadline: deadline)
    let one = Extension(lease, ttl: ttl)
    store.extend([one], numbers: numbers, by: deadline) { result in
      if case .success(let extended) = result, extended.isOurs[0] {
        lease.extended(by: ttl, sentAt: extended.sentAt)
      }
      completion(result)
    }
  }

  /// Wakes all who wait, refuses what comes later, and returns the leases that are still held; `isFinal` tells that
  /// they do not go on.
  func close(isFinal: Bool) -> [Lease] {
    let items = state.withLock { state in
      state.stage = max(state.stage, isFinal ? .closed : .closing)
      return state.timetable.items + state.firing.map(\.item)
    }
    for case .wake(let alarm) in items { alarm.ring() }
    return Self.leases(in: items)
  }

  /// The leases that are still held.
  var leases: [Lease] {
    Self.leases(in: state.withLock { $0.timetable.items + $0.firing.map(\.item) })
  }

  private static func leases(in items: [Item]) -> [Lease] {
    let leases = items.flatMap { item -> [Lease] in
      switch item {
      case .lease(let lease): [lease]
      case .batch(let batch): batch.leases
      case .wake, .warn: []
      }
    }
    // One that is being released right now may not have been handed to the store yet.
    return leases.filter { !$0.hasEnded || $0.isBeingReleased }
  }

  // MARK: The timer

  private func fire() {
    let now = clock.now
    let due = state.withLock { state in
      state.armedFor = nil
      state.firing = state.timetable.removeDue(by: now + Self.slack)
      return state.firing
    }
    let deadline = now + operationTimeout
    var entries: [Entry] = []
    var batches: [Batch] = []
    var (leases, end) = ([Lease](), Instant?.none)
    func closeBatch() {
      guard let first = end else { return }
      let batch = Batch(leases)
      batches.append(batch)
      entries.append(Entry(due: first, item: .batch(batch)))
      (leases, end) = ([], nil)
    }
    func fire(_ lease: Lease, dueAt firedAt: Instant?) {
      switch lease.fire(firedAt, at: now, slack: Self.slack, deadline: deadline) {
      case .later(nil): break
      case .later(let due?): entries.append(Entry(due: due, item: .lease(lease)))
      case .extend(let validUntil):
        leases.append(lease)
        end = min(end ?? validUntil, validUntil)
        if leases.count == Self.batchSize { closeBatch() }
      }
    }
    for entry in due {
      switch entry.item {
      case .wake(let alarm):
        if entry.due <= now { alarm.ring() } else { entries.append(entry) }
      case .warn(let warning):
        warn(warning.promise, of: warning.lease, margin: warning.margin)
      case .lease(let lease): fire(lease, dueAt: entry.due)
      case .batch(let batch):
        guard !batch.isConcluded.load(ordering: .relaxed) else { continue }
        for lease in batch.leases { fire(lease, dueAt: nil) }
      }
    }
    closeBatch()
    state.withLock { state in
      state.firing = []
      for entry in entries { state.timetable.add(entry.item, due: entry.due) }
      state.arm(by: clock)
    }
    for batch in batches { extend(batch, at: now) }
  }

  /// Extends leases in the background, all in one question.
  private func extend(_ batch: Batch, at now: Instant) {
    var longest = Duration.zero
    let extensions = batch.leases.map { lease in
      longest = max(longest, lease.claim.ttl)
      return Extension(lease, ttl: lease.claim.ttl)
    }
    let deadline = now + min(operationTimeout, longest)
    store.extend(extensions, numbers: 0, by: deadline) { [weak self] result in
      self?.conclude(batch, result)
    }
  }

  /// Notes what became of extensions in the background, and plans the next.
  private func conclude(_ batch: Batch, _ result: Result<Extended, StoreFailure>) {
    let (now, roundTrip) = (clock.now, store.roundTrip)
    var extended: Extended?
    switch result {
    case .success(let success): extended = success
    case .failure(let failure):
      reporter.extensionFailed("\(failure)", leases: batch.leases.count)
    }
    var entries: [Entry] = []
    entries.reserveCapacity(batch.leases.count)
    for (index, lease) in batch.leases.enumerated() {
      if let extended, !extended.isOurs[index] {
        lose(lease)
      } else {
        let (due, lateness) = lease.concludeExtension(
          sentAt: extended?.sentAt, at: now, roundTrip: roundTrip)
        if let due { entries.append(Entry(due: due, item: .lease(lease))) }
        if let lateness { reporter.extended(lease, lateness) }
      }
    }
    state.withLock { state in
      batch.isConcluded.store(true, ordering: .relaxed)
      for entry in entries { state.timetable.add(entry.item, due: entry.due) }
      state.arm(by: clock)
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
    let deadline = clock.now + min(operationTimeout, release.claim.ttl)
    store.release(release, by: deadline, completion: completion)
  }

  /// Gives back what was granted and is of no use.
  func giveBack(_ claim: Claim) {
    let end = clock.now + claim.ttl
    let release = Release(
      claim: claim, keysLastUntil: end, wasValid: false, isRepetition: false, isAwaited: false,
      keptUntil: nil)
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
    case .lease(let lease): lease.hasEnded
    case .warn(let warning): warning.promise.isKept || warning.lease.hasEnded
    case .wake(let alarm): alarm.isOver
    case .batch(let batch): batch.isConcluded.load(ordering: .relaxed)
    }
  }

  /// Enters an item; false when it was refused because of closing.
  @discardableResult
  private func enter(_ item: Item, due: Instant, notPast stage: Stage = .closed) -> Bool {
    state.withLock { state in
      guard state.stage <= stage else { return false }
      state.timetable.add(item, due: due)
      state.arm(by: clock)
      return true
    }
  }
}
