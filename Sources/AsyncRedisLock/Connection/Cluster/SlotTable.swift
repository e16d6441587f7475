/// Which node of a cluster has which slots, as far as nodes have told.
///
/// A pure struct: the parts around it ask the nodes.
struct SlotTable {
  typealias Address = LockerConfiguration.Address

  static let count = 16384

  /// The slots of one node, as an answer tells them.
  struct Range: Equatable {
    let slots: ClosedRange<Int>
    let master: Address
  }

  private(set) var masters: [Address] = []
  /// The place of each slot's node among the masters; -1 if it is not known.
  private var owners = [Int16](repeating: -1, count: count)
  /// When nodes have told that slots were moved: an answer that was asked for before must not undo it.
  private var movedAt: [Int: Int] = [:]
  /// Counts what has been told in answer to other requests.
  private(set) var changeCount = 0

  /// The node that has a slot; nil if it is not known.
  func owner(of slot: Int) -> Address? {
    let place = owners[slot]
    return place < 0 ? nil : masters[Int(place)]
  }

  /// Whether every slot has a node.
  var isComplete: Bool { !owners.contains(-1) }

  /// Notes that a node has told where a slot is; returns whether that is news.
  mutating func moved(_ slot: Int, to address: Address) -> Bool {
    changeCount += 1
    movedAt[slot] = changeCount
    guard owner(of: slot) != address else { return false }
    owners[slot] = place(of: address)
    return true
  }

  /// Takes over an answer that was asked for when ``changeCount`` was `count`; returns the slots that another node
  /// has now.
  mutating func apply(_ ranges: [Range], askedAt count: Int) -> [Int] {
    var new = SlotTable()
    for range in ranges {
      let place = new.place(of: range.master)
      for slot in range.slots { new.owners[slot] = place }
    }
    for (slot, change) in movedAt where change > count {
      if let owner = owner(of: slot) { new.owners[slot] = new.place(of: owner) }
      new.movedAt[slot] = change
    }
    var changed: [Int] = []
    for slot in 0..<Self.count {
      // A slot that no node serves now is still asked for where it was.
      if new.owners[slot] < 0, let owner = owner(of: slot) {
        new.owners[slot] = new.place(of: owner)
      } else if let former = owner(of: slot), former != new.owner(of: slot) {
        changed.append(slot)
      }
    }
    new.changeCount = changeCount
    self = new
    return changed
  }

  private mutating func place(of address: Address) -> Int16 {
    if let place = masters.firstIndex(of: address) { return Int16(place) }
    masters.append(address)
    return Int16(masters.count - 1)
  }
}

extension SlotTable {
  static let question = Command("CLUSTER", "SLOTS")

  /// Reads the answer to ``question`` of a node at an address.
  ///
  /// - Throws: `unreachable` if it is an error, or `protocolViolation` if it makes no sense.
  static func read(
    _ reply: Reply?, from address: Address
  ) throws(TransportError) -> [Range] {
    switch reply {
    case .error(let error) where error.message.contains("cluster support disabled"):
      // A proxy, or a server without a cluster: it has all slots.
      return [Range(slots: 0...count - 1, master: address)]
    case .error(let error):
      throw error.remedy == .fail ? .refused(error) : .unreachable(error.message)
    case .array(let entries):
      var ranges: [Range] = []
      for entry in entries {
        guard case .array(let parts) = entry, parts.count >= 3,
          case .integer(let first) = parts[0], case .integer(let last) = parts[1],
          0 <= first, first <= last, last < count,
          case .array(let node) = parts[2], node.count >= 2, case .integer(let port) = node[1]
        else { throw .protocolViolation("an unexpected answer to CLUSTER SLOTS") }
        let host: String? = if case .string(let host) = node[0] { host } else { nil }
        guard let port = UInt16(exactly: port), port > 0,
          let master = Address.node(host, port: port, from: address)
        else { throw .protocolViolation("a node without an address in CLUSTER SLOTS") }
        ranges.append(Range(slots: Int(first)...Int(last), master: master))
      }
      return ranges
    default: throw .protocolViolation("an unexpected answer to CLUSTER SLOTS")
    }
  }
}
