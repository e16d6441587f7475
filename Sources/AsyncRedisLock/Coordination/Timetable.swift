internal import HeapModule

/// What is due when; entries for what has ended meanwhile stay until they are due or too many.
struct Timetable<Item> {
  /// An item with the instant it is due.
  struct Entry: Comparable {
    let due: Instant
    let item: Item

    static func < (first: Self, second: Self) -> Bool { first.due < second.due }
    static func == (first: Self, second: Self) -> Bool { first.due == second.due }
  }

  /// Below this many entries a clean-up is not worth it.
  private static var fewest: Int { 1024 }

  private var heap = Heap<Entry>()
  private var ended = 0

  /// The earliest instant at which something is due.
  var nextDue: Instant? { heap.min?.due }

  /// All items, in no order.
  var items: [Item] { heap.unordered.map(\.item) }

  mutating func add(_ item: Item, due: Instant) { heap.insert(Entry(due: due, item: item)) }

  /// Takes out all that is due by an instant, in order.
  mutating func removeDue(by instant: Instant) -> [Entry] {
    var due: [Entry] = []
    while let first = heap.min, first.due <= instant { due.append(heap.removeMin()) }
    if heap.isEmpty { ended = 0 }
    return due
  }

  /// Notes that one more item has ended; when every second one has, all that `hasEnded` go.
  mutating func noteEnd(hasEnded: (Item) -> Bool) {
    ended += 1
    guard ended >= Self.fewest, ended * 2 > heap.count else { return }
    heap = Heap(heap.unordered.filter { !hasEnded($0.item) })
    ended = 0
  }
}
