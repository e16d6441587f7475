internal import HeapModule

/// What is due when; entries for what has ended meanwhile stay until they are due or too many.
struct Timetable<Item> {
  /// An item with the time it is due.
  struct Entry {
    let due: TimetableTime
    let item: Item
  }

  /// A time and the place of its item.
  ///
  /// The heap moves these about, and no item: copying one would count references at every step.
  private struct Due: Comparable {
    let time: TimetableTime
    let slot: Int

    static func < (first: Self, second: Self) -> Bool { first.time < second.time }
  }

  /// Below this many entries a clean-up is not worth it.
  private static var fewest: Int { 1024 }

  private var heap = Heap<Due>()
  private var slots: [Item?] = []
  private var freeSlots: [Int] = []
  private var ended = 0

  /// The earliest time at which something is due.
  var nextDue: TimetableTime? { heap.min?.time }

  /// All items, in no order.
  var items: [Item] { slots.compactMap { $0 } }

  mutating func add(_ item: Item, due time: TimetableTime) {
    if let slot = freeSlots.popLast() {
      slots[slot] = item
      heap.insert(Due(time: time, slot: slot))
    } else {
      heap.insert(Due(time: time, slot: slots.count))
      slots.append(item)
    }
  }

  /// Takes out all that is due by a time, in order.
  mutating func removeDue(by time: TimetableTime) -> [Entry] {
    var due: [Entry] = []
    while let first = heap.min, first.time <= time {
      heap.removeMin()
      if let item = removeItem(first.slot) { due.append(Entry(due: first.time, item: item)) }
    }
    if heap.isEmpty { ended = 0 }
    return due
  }

  /// Notes that one more item has ended; when every second one has, all that `hasEnded` go.
  mutating func noteEnd(hasEnded: (Item) -> Bool) {
    ended += 1
    guard ended >= Self.fewest, ended * 2 > heap.count else { return }
    let remaining = heap.unordered.filter { due in !(slots[due.slot].map(hasEnded) ?? true) }
    let old = slots
    slots = remaining.map { old[$0.slot] }
    freeSlots = []
    heap = Heap(remaining.enumerated().map { Due(time: $1.time, slot: $0) })
    ended = 0
  }

  private mutating func removeItem(_ slot: Int) -> Item? {
    freeSlots.append(slot)
    return slots[slot].take()
  }
}

/// An instant in whole nanoseconds; half the size of the clock's own, and a fraction of the cost to
/// compare.
struct TimetableTime: Sendable, Comparable {
  private static let start = ContinuousClock.now

  private let nanoseconds: Int64

  /// The time of an instant, rounded up.
  init(_ instant: Instant) {
    let (seconds, attoseconds) = Self.start.duration(to: instant).components
    nanoseconds = seconds * 1_000_000_000 + (attoseconds + 999_999_999) / 1_000_000_000
  }

  /// The instant of the time.
  var instant: Instant { Self.start + .nanoseconds(nanoseconds) }

  static func < (first: Self, second: Self) -> Bool { first.nanoseconds < second.nanoseconds }
}
