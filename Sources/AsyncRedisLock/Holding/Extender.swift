internal import Synchronization

/// Keeps the leases of one locker alive, and notices when they end.
final class Extender: Sendable {
  /// An item that can be due.
  private enum Item: Sendable {
    case lease(Lease)
    case batch(Batch)

    var hasEnded: Bool {
      switch self {
      case .lease(let lease): lease.hasEnded
      case .batch(let batch): batch.isConcluded.load(ordering: .acquiring)
      }
    }

    var leases: [Lease] {
      switch self {
      case .lease(let lease): [lease]
      case .batch(let batch): batch.leases
      }
    }
  }

  /// Leases whose extension is under way; checked one by one only if there is no outcome in time.
  private final class Batch: Sendable {
    let leases: [Lease]
    /// When the first of them ends.
    let end: Instant
    let isConcluded = Atomic<Bool>(false)

    init(_ leases: [Lease], end: Instant) { (self.leases, self.end) = (leases, end) }
  }

  private typealias Entry = DeadlineQueue<Item>.Entry

  /// Extensions that are due this soon are sent with those that are due now.
  private static let slack = Duration.milliseconds(20)
  /// How many leases go into one request.
  ///
  /// They share its cost, but the server, which does nothing else meanwhile, is done in a fifth of a millisecond.
  private static let batchSize = 100

  private let store: any LockStore
  private let clock: LockClock
  private let operationTimeout: Duration
  private let reporter: Reporter
  private let queue: DeadlineQueue<Item>
  private let isClosed = Locked(false)
  private let planned = Atomic<UInt64>(0)

  init(store: any LockStore, operationTimeout: Duration, reporter: Reporter) {
    self.store = store
    self.operationTimeout = operationTimeout
    self.reporter = reporter
    clock = store.clock
    queue = DeadlineQueue(clock: clock, slack: Self.slack) { $0.hasEnded }
    queue.start { [weak self] due, now in self?.fire(due, at: now) ?? [] }
  }

  // MARK: Calls

  /// Looks after a lease, which another holder may have handed over; returns false if the locker is closed.
  func add(_ lease: Lease, wasHandedOver: Bool = false) -> Bool {
    let due = lease.plan(
      roundTrip: store.roundTrip, share: nextShare(), wasHandedOver: wasHandedOver)
    guard let due else { return true }
    return isClosed.withLock { isClosed in
      if !isClosed { queue.add(.lease(lease), due: due) }
      return !isClosed
    }
  }

  /// Notes that a lease has ended.
  func noteEnd() { queue.noteEnd() }

  /// Prolongs a lease now, by more than its ttl if requested; the completion tells whether the lease still has its
  /// keys.
  func extend(
    _ lease: Lease, by ttl: Duration, drawing numbers: Int = 0,
    completion: @escaping @Sendable (Result<Extended, StoreFailure>) -> Void
  ) {
    let patience = min(operationTimeout, lease.claim.ttl)
    let end = lease.state.validUntil
    let deadline = min(clock.now + patience, end)
    lease.willExtend(by: ttl, deadline: deadline)
    let one = Extension(lease, ttl: ttl, leaseEnd: end)
    store.extend([one], numbers: numbers, by: deadline) { result in
      switch result {
      case .success(let extended):
        switch extended.outcomes[0] {
        case .ours:
          lease.extended(by: ttl, sentAt: extended.sentAt, remaining: extended.remaining[0])
        case .deleted: Self.lose(lease, .deleted)
        case .taken(let holder): Self.lose(lease, .takenByAnother, to: holder)
        case .unconfirmed: lease.extensionFailed()
        case .notAsked: break
        }
      case .failure: lease.extensionFailed()
      }
      completion(result)
    }
  }

  /// Refuses new leases, and returns those that are still held.
  func close() -> [Lease] {
    isClosed.withLock { $0 = true }
    return leases
  }

  /// The leases that are still held, or that are being released and may not have reached the store yet.
  var leases: [Lease] {
    queue.items.flatMap(\.leases).filter { !$0.hasEnded || $0.isBeingReleased }
  }

  // MARK: Due items

  /// Extends due leases, in batches; returns entries that must be checked again.
  private func fire(_ due: [Entry], at now: Instant) -> [Entry] {
    let deadline = now + operationTimeout
    var entries: [Entry] = []
    var batches: [Batch] = []
    // One server that does not answer must not keep another's leases waiting.
    var open: [Int: (leases: [Lease], end: Instant)] = [:]
    func closeBatch(_ leases: [Lease], end: Instant) {
      let batch = Batch(leases, end: end)
      batches.append(batch)
      entries.append(Entry(due: end, item: .batch(batch)))
    }
    func fire(_ lease: Lease, dueAt firedAt: Instant?) {
      switch lease.fire(firedAt, at: now, slack: Self.slack, deadline: deadline) {
      case .later(nil): break
      case .later(let due?): entries.append(Entry(due: due, item: .lease(lease)))
      case .extend(let validUntil):
        let route = store.route(of: lease.claim)
        var (leases, end) = open.removeValue(forKey: route) ?? ([], validUntil)
        leases.append(lease)
        end = min(end, validUntil)
        if leases.count == Self.batchSize {
          closeBatch(leases, end: end)
        } else {
          open[route] = (leases, end)
        }
      }
    }
    for entry in due {
      switch entry.item {
      case .lease(let lease): fire(lease, dueAt: entry.due)
      case .batch(let batch):
        guard !batch.isConcluded.load(ordering: .acquiring) else { continue }
        for lease in batch.leases { fire(lease, dueAt: nil) }
      }
    }
    for (_, rest) in open.sorted(by: { $0.key < $1.key }) {
      closeBatch(rest.leases, end: rest.end)
    }
    for batch in batches { extend(batch, at: now) }
    return entries
  }

  /// Extends leases in the background, all in one request.
  private func extend(_ batch: Batch, at now: Instant) {
    var longest = Duration.zero
    let extensions = batch.leases.map { lease in
      longest = max(longest, lease.claim.ttl)
      return Extension(lease, ttl: lease.claim.ttl, leaseEnd: batch.end)
    }
    let deadline = now + min(operationTimeout, longest)
    store.extend(extensions, numbers: 0, by: deadline) { [weak self] result in
      self?.conclude(batch, result)
    }
  }

  /// Extends the leases of a batch in two smaller ones, because a key of one of them was refused for all.
  private func split(_ batch: Batch, at now: Instant) {
    let middle = batch.leases.count / 2
    let halves = [batch.leases[..<middle], batch.leases[middle...]].map { leases in
      for lease in leases {
        lease.willExtend(by: lease.claim.ttl, deadline: now + operationTimeout)
      }
      return Batch(Array(leases), end: leases.lazy.map(\.state.validUntil).min() ?? now)
    }
    queue.add(halves.map { Entry(due: $0.end, item: .batch($0)) })
    batch.isConcluded.store(true, ordering: .releasing)
    for half in halves { extend(half, at: now) }
  }

  /// Notes the outcome of extensions in the background, and plans the next ones.
  private func conclude(_ batch: Batch, _ result: Result<Extended, StoreFailure>) {
    let (now, roundTrip) = (clock.now, store.roundTrip)
    if case .failure(let failure) = result, failure.isAboutKeys, batch.leases.count > 1 {
      split(batch, at: now)
      return
    }
    var extended: Extended?
    var trouble: String?
    switch result {
    case .success(let success): extended = success
    case .failure(let failure):
      trouble = LockError(failure, keys: [], phase: .extend).message
    }
    var entries: [Entry] = []
    entries.reserveCapacity(batch.leases.count)
    for (index, lease) in batch.leases.enumerated() {
      switch extended?.outcomes[index] {
      case .deleted: Self.lose(lease, .deleted)
      case .taken(let holder): Self.lose(lease, .takenByAnother, to: holder)
      case .notAsked: break
      case .ours, .unconfirmed, nil:
        let isConfirmed = extended?.outcomes[index] == .ours
        let (due, lateness) = lease.concludeExtension(
          sentAt: isConfirmed ? extended?.sentAt : nil, remaining: extended?.remaining[index],
          at: now,
          roundTrip: roundTrip, trouble: trouble)
        if let due { entries.append(Entry(due: due, item: .lease(lease))) }
        if let lateness { reporter.extended(lease, lateness) }
      }
    }
    // In this order, so that the leases can always be found.
    queue.add(entries)
    batch.isConcluded.store(true, ordering: .releasing)
    if let trouble, case .failure(let failure) = result { warn(trouble, failure) }
  }

  /// Warns of all leases that cannot be extended: without a server no lease can be.
  private func warn(_ trouble: String, _ failure: StoreFailure) {
    let isOutage: Bool
    switch failure {
    case .closed, .cancelled: return
    case .unreachable, .unknown, .tlsFailed: isOutage = true
    case .unintelligible, .refused, .notAcknowledged, .severalSlots: isOutage = false
    }
    reporter.extensionFailed(trouble) { [weak self] in
      // A lease may be in the queue twice for a moment.
      var seen: Set<ObjectIdentifier> = []
      return (self?.leases ?? []).filter { lease in
        !lease.hasEnded && lease.state.extend != nil && (isOutage || lease.trouble != nil)
          && seen.insert(ObjectIdentifier(lease)).inserted
      }
    }
  }

  /// Ends a lease that, by the server's answer, has lost its keys, or the lease that it has been handed on to.
  ///
  /// A token that has lost its keys never gets them back.
  static func lose(_ lease: Lease, _ reason: LossReason, to holder: String? = nil) {
    var next: Lease? = lease
    while let lease = next {
      lease.lose(reason, to: holder)
      next = lease.successor
    }
  }

  /// A lease's own share of the stagger, between 0 and 1; the shares of all leases are spread evenly.
  private func nextShare() -> Double {
    // Multiples of the golden ratio never come close to each other.
    let share = planned.wrappingAdd(0x9E37_79B9_7F4A_7C15, ordering: .relaxed).newValue
    return Double(share >> 11) / Double(1 << 53)
  }
}
