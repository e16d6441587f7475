/// The names of this library's own keys and channels on the server.
struct ServerKeys: Sendable {
  let prefix: String
  /// The counter that fencing tokens and tickets are drawn from.
  let fence: String
  /// The key that is written before replicas are asked whether they have all writes so far.
  let acknowledgement: String

  init(prefix: String) {
    self.prefix = prefix
    fence = prefix + "fence"
    acknowledgement = prefix + "ack"
  }

  /// The channel that notifies a locker of its grants.
  func inbox(of lockerID: String) -> String { "\(prefix)inbox:\(lockerID)" }

  /// A lock's key, its queue and its entries, in the order of the scripts.
  func keys(of key: String) -> [String] { [key, queue(of: key), helper("entries", key)] }

  func queue(of key: String) -> String { helper("queue", key) }

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

  /// An unused key to try commands with.
  func trial(of key: String) -> String { helper("trial", key) }

  /// The name of a helper, in the hash slot of its key.
  private func helper(_ kind: String, _ key: String) -> String {
    Self.hasHashTag(key) ? "\(prefix)\(kind)::\(key)" : "\(prefix)\(kind):{\(key)}"
  }

  /// Encodes the name that ``helper(_:_:)`` makes.
  private func append(_ kind: StaticString, _ key: String, to buffer: inout CommandBuffer) {
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

  /// Whether a cluster finds the slot of a key by a part of it: the text between the first `{` and the next `}`,
  /// if it is not empty.
  private static func hasHashTag(_ key: String) -> Bool {
    let bytes = key.utf8
    // Most keys have none; a loop over memory finds that out fastest.
    let hasBrace = unsafe bytes.withContiguousStorageIfAvailable { bytes in
      unsafe bytes.contains(UInt8(ascii: "{"))
    }
    guard hasBrace != false, let open = bytes.firstIndex(of: UInt8(ascii: "{")) else {
      return false
    }
    let tag = bytes[bytes.index(after: open)...]
    guard let close = tag.firstIndex(of: UInt8(ascii: "}")) else { return false }
    return close > tag.startIndex
  }
}
