/// The names of this library's own keys and channels on the server.
struct ServerKeys: Sendable {
  let prefix: String
  /// The counter that fencing tokens and tickets are drawn from.
  let fence: String
  /// A key that is never written, in another hash slot than the counter: no node of a cluster runs a script with both.
  let elsewhere: String
  /// The key that is written before replicas are asked whether they have all writes so far.
  let acknowledgement: String
  /// What puts a name into the slot of a cluster that all these names are for; nil without a cluster.
  private let slotTag: String?

  /// The names for a single server, or for one slot of a cluster.
  init(prefix: String, slot: Int? = nil) {
    self.prefix = prefix
    slotTag = slot.map(HashSlot.tag)
    let suffix = slotTag.map { ":" + $0 } ?? ""
    fence = prefix + "fence" + suffix
    acknowledgement = prefix + "ack" + suffix
    let others = ["{0}", "{1}"].map { prefix + "fence:" + $0 }
    elsewhere =
      HashSlot.slot(of: others[0]) == HashSlot.slot(of: fence) ? others[1] : others[0]
  }

  /// The channel that notifies a locker of its grants.
  func inbox(of lockerID: String) -> String {
    "\(prefix)inbox:\(slotTag.map { $0 + ":" } ?? "")\(lockerID)"
  }

  /// A lock's key, its queue and its entries, in the order of the scripts.
  func keys(of key: String) -> [String] { [key, queue(of: key), entries(of: key)] }

  func queue(of key: String) -> String { helper("queue", key) }

  func entries(of key: String) -> String { helper("entries", key) }

  /// Encodes the name of a lock's queue, without a string in between.
  func appendQueue(of key: String, to buffer: inout CommandBuffer) {
    append("queue", key, to: &buffer)
  }

  /// Encodes the name of the entries in a lock's queue.
  func appendEntries(of key: String, to buffer: inout CommandBuffer) {
    append("entries", key, to: &buffer)
  }

  /// The key that records more about a lock's holder, if the holder wants that.
  func record(of key: String) -> String { helper("record", key) }

  /// The key that a record is about; nil if the name is not that of a record.
  ///
  /// In a cluster, the name may depend on the key's slot.
  static func key(ofRecord name: String, prefix: String, inCluster: Bool) -> String? {
    let (bytes, start) = (Array(name.utf8), Array("\(prefix)record:".utf8))
    guard bytes.starts(with: start) else { return nil }
    let rest = bytes.dropFirst(start.count)
    var keys = [rest.dropFirst(), rest.dropFirst().dropLast()]
    if let close = rest.firstIndex(of: UInt8(ascii: "}")) {
      keys.append(rest[close...].dropFirst(2))
    }
    return keys.lazy.map { String(decoding: $0, as: UTF8.self) }.first { key in
      let names = ServerKeys(prefix: prefix, slot: inCluster ? HashSlot.slot(of: key) : nil)
      return !key.isEmpty && names.record(of: key).utf8.elementsEqual(bytes)
    }
  }

  /// An unused key to try commands with.
  func trial(of key: String) -> String { helper("trial", key) }

  /// The name of a helper, in the hash slot of its key.
  private func helper(_ kind: String, _ key: String) -> String {
    if let slotTag, Self.needsSlotTag(key) { return "\(prefix)\(kind):\(slotTag):\(key)" }
    return Self.hasHashTag(key) ? "\(prefix)\(kind)::\(key)" : "\(prefix)\(kind):{\(key)}"
  }

  /// Encodes the name that ``helper(_:_:)`` makes.
  private func append(_ kind: StaticString, _ key: String, to buffer: inout CommandBuffer) {
    if slotTag != nil, Self.needsSlotTag(key) {
      return buffer.append(helper("\(kind)", key))
    }
    let hasHashTag = Self.hasHashTag(key)
    let signs = hasHashTag ? 2 : 3
    buffer.beginWord(
      length: prefix.utf8.count + kind.utf8CodeUnitCount + signs + key.utf8.count)
    buffer.append(partOfWord: prefix)
    buffer.append(encoded: kind)
    buffer.append(encoded: hasHashTag ? "::" : ":{")
    buffer.append(partOfWord: key)
    if !hasHashTag { buffer.append(encoded: "}") }
    buffer.endWord()
  }

  /// The keys, queues and entries of several locks, then the counter.
  func keysAndFence(of keys: [String]) -> [String] { keys.flatMap(self.keys(of:)) + [fence] }

  /// Whether braces around a key would not be its hash tag, and the key has none of its own.
  private static func needsSlotTag(_ key: String) -> Bool {
    key.utf8.contains(UInt8(ascii: "}")) && !hasHashTag(key)
  }

  /// Whether a cluster finds the slot of a key by a part of it: the text between the first `{` and the next `}`,
  /// if it is not empty.
  private static func hasHashTag(_ key: String) -> Bool {
    let bytes = key.utf8
    // Most keys have none; a loop over memory finds that out fastest.
    let hasBrace = unsafe bytes.withContiguousStorageIfAvailable { bytes in
      unsafe bytes.contains(UInt8(ascii: "{"))
    }
    return hasBrace != false && HashSlot.hasHashTag(bytes)
  }
}
