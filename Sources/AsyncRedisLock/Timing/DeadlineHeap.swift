internal import HeapModule

/// Items in the order in which they are due.
///
/// Entries of ended items stay until they are due, or until there are too many.
struct DeadlineHeap<Item> {
  /// An item with the instant it is due.
  struct Entry {
    let due: Instant
    let item: Item
  }

  /// An instant and the place of its item.
  ///
  /// The heap moves these about, and no items: copying an item would count references at every step.
  private struct Due: Comparable {
    let instant: Instant
    let slot: Int

    static func < (first: Self, second: Self) -> Bool { first.instant < second.instant }
  }

  /// Below this many entries, a clean-up is not worth it.
  private static var fewest: Int { 1024 }

  private var heap = Heap<Due>()
  private var slots: [Item?] = []
  private var freeSlots: [Int] = []
  private var ended = 0

  /// The earliest instant at which something is due.
  var nextDue: Instant? { heap.min?.instant }

  /// All items, in no order.
  var items: [Item] { slots.compactMap { $0 } }

  mutating func add(_ item: Item, due instant: Instant) {
    if let slot = freeSlots.popLast() {
      slots[slot] = item
      heap.insert(Due(instant: instant, slot: slot))
    } else {
      heap.insert(Due(instant: instant, slot: slots.count))
      slots.append(item)
    }
  }

  /// How many items there are.
  var count: Int { heap.count }

  /// Takes out all items that are due by an instant, in order.
  mutating func removeDue(by instant: Instant) -> [Entry] {
    remove { _, due in due <= instant }
  }

  /// Takes out the items that are due first.
  mutating func removeFirst(_ most: Int) -> [Entry] { remove { count, _ in count < most } }

  /// Takes out items in the order in which they are due, while a condition holds for their count and the next.
  private mutating func remove(while isWanted: (Int, Instant) -> Bool) -> [Entry] {
    var due: [Entry] = []
    while let first = heap.min, isWanted(due.count, first.instant) {
      heap.removeMin()
      if let item = removeItem(first.slot) { due.append(Entry(due: first.instant, item: item)) }
    }
    if heap.isEmpty { ended = 0 }
    return due
  }

  /// Notes that one more item has ended; once every second one has, removes all items that `hasEnded`.
  mutating func noteEnd(hasEnded: (Item) -> Bool) {
    ended += 1
    guard ended >= Self.fewest, ended * 2 > heap.count else { return }
    let remaining = heap.unordered.filter { due in !(slots[due.slot].map(hasEnded) ?? true) }
    let old = slots
    slots = remaining.map { old[$0.slot] }
    freeSlots = []
    heap = Heap(remaining.enumerated().map { Due(instant: $1.instant, slot: $0) })
    ended = 0
  }

  private mutating func removeItem(_ slot: Int) -> Item? {
    freeSlots.append(slot)
    return slots[slot].take()
  }
}
