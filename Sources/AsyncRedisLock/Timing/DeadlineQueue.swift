internal import Synchronization

/// Hands over items when they are due, with one timer, on a Dispatch queue of its own.
///
/// Not on the cooperative pool: a program that blocks every thread of the pool keeps its locks.
final class DeadlineQueue<Item: Sendable>: Sendable {
  typealias Entry = DeadlineHeap<Item>.Entry
  /// Gets the due items and the present instant; returns items that are due again.
  typealias Handler = @Sendable ([Entry], Instant) -> [Entry]

  private struct State {
    var heap = DeadlineHeap<Item>()
    /// The items that were taken out of the heap and have not been dealt with.
    var firing: [Entry] = []
    var timer: (any WakeTimer)?
    var handler: Handler?
    var armedFor: Instant?

    /// Sets the timer for the next due item, unless it is set for an earlier instant.
    ///
    /// Under the lock, so that a later alarm never replaces an earlier one.
    mutating func arm(by clock: LockClock, makeTimer: () -> any WakeTimer) {
      guard let due = heap.nextDue else { return }
      // An alarm that should have come some time ago has got lost: Dispatch does that.
      if let armedFor, armedFor <= due,
        clock.now < armedFor + DeadlineQueueLimits.longestDelay
      {
        return
      }
      let alarm = min(due, clock.now + DeadlineQueueLimits.farthestAlarm)
      armedFor = alarm
      let timer = timer ?? makeTimer()
      self.timer = timer
      timer.set(for: alarm)
    }
  }

  private let clock: LockClock
  /// Items that are due this soon are handed over with those that are due now.
  private let slack: Duration
  private let hasEnded: @Sendable (Item) -> Bool
  private let state = Locked(State())

  init(
    clock: LockClock, slack: Duration = .zero, hasEnded: @escaping @Sendable (Item) -> Bool
  ) {
    self.clock = clock
    self.slack = slack
    self.hasEnded = hasEnded
  }

  /// Starts to hand over due items.
  func start(_ handler: @escaping Handler) {
    state.withLock { $0.handler = handler }
  }

  /// Made only when needed, since most lockers need only one of their queues.
  private func makeTimer() -> any WakeTimer { clock.makeTimer { [weak self] in self?.fire() } }

  deinit { state.withLock { $0.timer?.cancel() } }

  /// All items in the queue or being handed over, in no order.
  var items: [Item] { state.withLock { $0.heap.items + $0.firing.map(\.item) } }

  func add(_ item: Item, due: Instant) { change { $0.add(item, due: due) } }

  func add(_ entries: [Entry]) {
    change { heap in for entry in entries { heap.add(entry.item, due: entry.due) } }
  }

  /// Notes that an item in the queue has ended.
  func noteEnd() { state.withLock { $0.heap.noteEnd(hasEnded: hasEnded) } }

  private func change(_ body: (inout DeadlineHeap<Item>) -> Void) {
    state.withLock { state in
      body(&state.heap)
      state.arm(by: clock, makeTimer: makeTimer)
    }
  }

  private func fire() {
    let now = clock.now
    let (due, handler) = state.withLock { state in
      state.armedFor = nil
      state.firing = state.heap.removeDue(by: now + slack)
      return (state.firing, state.handler)
    }
    let again = handler?(due, now) ?? []
    state.withLock { state in
      state.firing = []
      for entry in again { state.heap.add(entry.item, due: entry.due) }
      state.arm(by: clock, makeTimer: makeTimer)
    }
  }
}

/// Constants, which generic types cannot store.
private enum DeadlineQueueLimits {
  /// An alarm that is this late is taken for lost.
  static let longestDelay = Duration.milliseconds(100)
  /// The timer's clock stops while the machine sleeps; the leases' clock does not.
  static let farthestAlarm = Duration.seconds(1)
}
