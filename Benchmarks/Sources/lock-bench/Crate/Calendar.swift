import HeapModule

/// The tasks that are due at each millisecond, which is the precision of the crate's timers.
struct Calendar {
  private struct Entry: Comparable {
    let due: UInt64
    let task: Int

    static func < (one: Self, other: Self) -> Bool { one.due < other.due }
  }

  private var entries = Heap<Entry>()

  var isEmpty: Bool { entries.isEmpty }

  /// Notes that the task is due at an instant of ``Monotonic``.
  mutating func add(_ task: Int, at instant: UInt64) {
    entries.insert(Entry(due: instant, task: task))
  }

  /// Blocks until a task is due or the deadline comes, and takes the due tasks.
  mutating func waitForDue(upTo count: Int = .max, until deadline: UInt64 = .max) -> [Int] {
    guard let first = entries.min?.due else { return [] }
    let tick: UInt64 = 1_000_000
    Monotonic.sleep(until: min((first + tick - 1) / tick * tick, deadline))
    let now = Monotonic.now()
    var due: [Int] = []
    while due.count < count, let next = entries.min, next.due <= now {
      due.append(entries.removeMin().task)
    }
    return due
  }
}
