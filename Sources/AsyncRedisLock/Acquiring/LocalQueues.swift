internal import Synchronization

/// For each set of keys, the task that has or requests them, and the tasks of this process that wait.
final class LocalQueues: Sendable {
  private struct State {
    var queues: [LockKeys: LocalQueue] = [:]
    /// Keys that other parties want, too, so that a first attempt without queueing does not pay.
    var contended: Set<LockKeys> = []
    var isClosed = false

    func isContended(_ keys: LockKeys) -> Bool { !contended.isEmpty && contended.contains(keys) }
  }

  /// The answer to a task that arrives for some keys.
  enum Admission {
    /// No other task here is at the keys: ask the server.
    case lead
    /// Wait for the turn. The lease to draw for needs numbers before it can be handed on.
    case wait(LocalWaiter, LinkedQueue<LocalWaiter>.Ticket, drawFor: Lease?)
    /// Too many tasks wait.
    case full
    /// The locker is closed to new tasks.
    case closed
  }

  /// At most this many keys are remembered as contended.
  private static let mostContended = 1024
  /// At most this many fencing tokens are drawn at once for handing a lease on.
  private static let largestBlock = 16

  private let handoffLimit: Int
  let maxWaiters: Int
  private let state = Locked(State())

  init(handoffLimit: Int, maxWaiters: Int?) {
    self.handoffLimit = handoffLimit
    self.maxWaiters = maxWaiters ?? .max
  }

  // MARK: Coming and going

  /// Admits a task that wants to wait.
  ///
  /// If its turn came with a lease that had ended, it keeps its rank.
  func enter(_ keys: LockKeys, options: LockOptions, isReturning: Bool = false) -> Admission {
    state.withLock { state in
      guard !state.isClosed else { return .closed }
      guard let queue = state.queues[keys] else {
        state.queues[keys] = LocalQueue()
        return .lead
      }
      return queue.admit(
        options, isReturning: isReturning, maxWaiters: maxWaiters, handoffLimit: handoffLimit)
    }
  }

  /// Admits a task that does not want to wait; returns false if other tasks are at the keys.
  func enterAlone(_ keys: LockKeys) -> Bool {
    state.withLock { state in
      guard state.queues[keys] == nil else { return false }
      state.queues[keys] = LocalQueue()
      return true
    }
  }

  /// How many tasks request a key or wait for it, alone or among other keys.
  func waiterCount(of key: String) -> Int {
    state.withLock { state in
      state.queues.reduce(0) { count, queue in
        queue.key.names.contains { $0.utf8.elementsEqual(key.utf8) }
          ? count + queue.value.count : count
      }
    }
  }

  /// Takes out a waiter that gave up.
  func leave(_ keys: LockKeys, _ ticket: LinkedQueue<LocalWaiter>.Ticket) {
    state.withLock { state in _ = state.queues[keys]?.line.remove(ticket) }
  }

  /// Dismisses all waiters.
  func close() {
    let waiters = state.withLock { state in
      state.isClosed = true
      var waiters: [LocalWaiter] = []
      for queue in state.queues.values {
        while let waiter = queue.line.popFirst() { waiters.append(waiter) }
      }
      return waiters
    }
    for waiter in waiters { _ = waiter.give(.closed) }
  }

  // MARK: The leader

  /// How many fencing tokens to draw with the keys.
  func numbersWanted(_ keys: LockKeys) -> Int {
    state.withLock { state in
      guard let queue = state.queues[keys], !queue.line.isEmpty else { return 1 }
      return min(handoffLimit + 1, Self.largestBlock)
    }
  }

  /// Whether other parties wanted the keys not long ago.
  func isContended(_ keys: LockKeys) -> Bool { state.withLock { $0.isContended(keys) } }

  /// Notes whether other parties want the keys.
  func note(_ keys: LockKeys, isContended: Bool) {
    state.withLock { state in
      guard isContended else {
        // Most keys have never been contended.
        if !state.contended.isEmpty { state.contended.remove(keys) }
        return
      }
      if state.contended.count >= Self.mostContended { state.contended = [] }
      state.contended.insert(keys)
    }
  }

  /// The leader's entry in the server's queue.
  func entry(_ keys: LockKeys) -> QueueEntry? { state.withLock { $0.queues[keys]?.entry } }

  /// The leader's entry in the server's queue, and whether other parties wanted the keys not long ago.
  func outlook(_ keys: LockKeys) -> (entry: QueueEntry?, isContended: Bool) {
    state.withLock { ($0.queues[keys]?.entry, $0.isContended(keys)) }
  }

  func setEntry(_ entry: QueueEntry?, of keys: LockKeys) {
    state.withLock { $0.queues[keys]?.head = .leader(entry) }
  }

  /// Notes why the leader has no answer; nil if it has one.
  func note(_ trouble: StoreFailure?, of keys: LockKeys) {
    state.withLock { $0.queues[keys]?.trouble = trouble }
  }

  /// What to tell a waiter that has timed out: the holder of the keys, and the leader's trouble.
  func situation(_ keys: LockKeys) -> (holder: String?, trouble: StoreFailure?) {
    state.withLock { state in
      guard let queue = state.queues[keys] else { return (nil, nil) }
      switch queue.head {
      case .held(let lease): return (lease.claim.token, nil)
      case .leader(let entry): return (entry?.holder, queue.trouble ?? entry?.trouble)
      }
    }
  }

  /// Notes that the leader has the keys; returns the lease if it may be handed on.
  func settle(_ keys: LockKeys, _ lease: Lease) -> Lease? {
    let next: Lease? = state.withLock { state in
      guard let queue = state.queues[keys] else { return nil }
      queue.head = .held(lease)
      return queue.leaseToDrawFor(handoffLimit)
    }
    // If the lease ended earlier, its end found no entry to give up.
    if lease.hasEnded { end(lease, keys) }
    return next
  }

  /// Makes the next waiter the leader, because the former one gave up; returns the entry, if no task is left to
  /// look after it.
  func passLead(_ keys: LockKeys) -> QueueEntry? {
    state.withLock { state in
      guard let queue = state.queues[keys], case .leader(let entry) = queue.head else { return nil }
      while let waiter = queue.line.popFirst() {
        if waiter.give(.lead) { return nil }
      }
      state.queues[keys] = nil
      return entry
    }
  }

  // MARK: The holder

  /// Hands on a lease that was released just now.
  ///
  /// `make` makes the next waiter's lease from it, or nil; `start` is called with the new lease as soon as the
  /// waiter has it.
  ///
  /// - Returns: Whether the lease was handed on, and the new lease if it may be handed on again.
  func handOn(
    _ lease: Lease, _ keys: LockKeys, make: (LockOptions) -> Lease?, start: (Lease) -> Void
  ) -> (isDone: Bool, next: Lease?) {
    state.withLock { state in
      guard !state.isClosed, let queue = state.queues[keys],
        queue.leaseToDrawFor(handoffLimit) === lease
      else { return (false, nil) }
      while let waiter = queue.line.first {
        guard !waiter.isOver else {
          _ = queue.line.popFirst()
          continue
        }
        guard let next = make(waiter.options) else { break }
        _ = queue.line.popFirst()
        guard waiter.give(.take(next)) else { continue }
        start(next)
        queue.head = .held(next)
        queue.handoffs += 1
        return (true, queue.leaseToDrawFor(handoffLimit))
      }
      return (false, nil)
    }
  }

  /// Makes the next waiter the leader, because a lease has ended.
  func end(_ lease: Lease, _ keys: LockKeys) {
    state.withLock { state in
      guard let index = state.queues.index(forKey: keys) else { return }
      let queue = state.queues.values[index]
      guard queue.isHeld(by: lease) else { return }
      while let waiter = queue.line.popFirst() {
        guard waiter.give(.lead) else { continue }
        queue.head = .leader(nil)
        queue.handoffs = 0
        return
      }
      state.queues.remove(at: index)
    }
  }
}
