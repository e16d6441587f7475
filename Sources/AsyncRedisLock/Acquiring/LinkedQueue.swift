/// Elements in order of arrival, each of which can leave at once, wherever it stands.
struct LinkedQueue<Element: AnyObject> {
  /// An element with its slot.
  ///
  /// It names the element itself, not a number: a ticket can outlive its line, and the next line reuses the same
  /// slots.
  struct Ticket {
    fileprivate let slot: Int
    fileprivate let element: Element
  }

  private struct Slot {
    var element: Element?
    var previous: Int
    var next: Int
  }

  private static var none: Int { -1 }

  private var slots: [Slot] = []
  private var head = Self.none
  private var tail = Self.none
  private var firstFree = Self.none
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  /// The element that came first.
  var first: Element? { head == Self.none ? nil : slots[head].element }

  /// Adds an element at the end.
  mutating func append(_ element: Element) -> Ticket {
    let index = insert(Slot(element: element, previous: tail, next: Self.none))
    return Ticket(slot: index, element: element)
  }

  /// Adds an element before all others.
  mutating func prepend(_ element: Element) -> Ticket {
    let index = insert(Slot(element: element, previous: Self.none, next: head))
    return Ticket(slot: index, element: element)
  }

  private mutating func insert(_ slot: Slot) -> Int {
    let index: Int
    if firstFree == Self.none {
      index = slots.count
      slots.append(slot)
    } else {
      index = firstFree
      firstFree = slots[index].next
      slots[index] = slot
    }
    if slot.previous == Self.none { head = index } else { slots[slot.previous].next = index }
    if slot.next == Self.none { tail = index } else { slots[slot.next].previous = index }
    count += 1
    return index
  }

  /// Takes out the element that came first.
  mutating func popFirst() -> Element? { head == Self.none ? nil : remove(at: head) }

  /// Takes out an element; returns nil if it is not in this line.
  @discardableResult
  mutating func remove(_ ticket: Ticket) -> Element? {
    guard slots.indices.contains(ticket.slot), slots[ticket.slot].element === ticket.element
    else { return nil }
    return remove(at: ticket.slot)
  }

  private mutating func remove(at index: Int) -> Element? {
    let slot = slots[index]
    if slot.previous == Self.none {
      head = slot.next
    } else {
      slots[slot.previous].next = slot.next
    }
    if slot.next == Self.none {
      tail = slot.previous
    } else {
      slots[slot.next].previous = slot.previous
    }
    slots[index].next = firstFree
    firstFree = index
    count -= 1
    return slots[index].element.take()
  }
}

extension LinkedQueue.Ticket: Sendable where Element: Sendable {}
