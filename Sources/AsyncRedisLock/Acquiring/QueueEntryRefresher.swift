/// Keeps the entries of one locker in the server's queues, many with one request.
///
/// A waiter that can be notified of its grant needs a poll only to keep its entry and to notice that a holder
/// died. With ten thousand waiters, a poll for each would be most of the server's work.
final class QueueEntryRefresher: Sendable {
  private struct Item {
    weak var entry: QueueEntry?
  }

  /// Entries that are due between two of these instants go into the same requests.
  static let grid = Duration.milliseconds(100)
  /// Few enough that the server, which does nothing else meanwhile, is done in half a millisecond.
  private static let batchSize = 100

  private let store: any LockStore
  private let operationTimeout: Duration
  private let queue: DeadlineQueue<Item>

  init(store: any LockStore, operationTimeout: Duration) {
    self.store = store
    self.operationTimeout = operationTimeout
    queue = DeadlineQueue(clock: store.clock) { $0.entry == nil }
    queue.start { [weak self] due, now in
      self?.refresh(due.compactMap(\.item.entry), at: now)
      return []
    }
  }

  /// Refreshes an entry at an instant, or a moment earlier.
  func add(_ entry: QueueEntry, due: Instant) {
    let early = due.rounded(downTo: Self.grid)
    queue.add(Item(entry: entry), due: early > store.clock.now ? early : due)
  }

  private func refresh(_ entries: [QueueEntry], at now: Instant) {
    let due = entries.compactMap { entry in entry.willRefresh().map { (entry, $0) } }
    for start in stride(from: 0, to: due.count, by: Self.batchSize) {
      refresh(due[start..<min(start + Self.batchSize, due.count)], at: now)
    }
  }

  private func refresh(_ due: ArraySlice<(QueueEntry, EntryRefresh)>, at now: Instant) {
    let shortest = due.map(\.1.claim.ttl).min() ?? .zero
    store.refresh(due.map(\.1), by: now + min(operationTimeout, shortest)) { answer in
      for (index, (entry, _)) in due.enumerated() {
        entry.refreshed((try? answer.get())?[index])
      }
    }
  }
}
