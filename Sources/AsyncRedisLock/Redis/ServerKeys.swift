/// The names of this library's own keys and channels on the server.
struct ServerKeys: Sendable {
  let prefix: String
  /// The counter that fencing tokens and tickets are drawn from.
  let fence: String

  init(prefix: String) {
    self.prefix = prefix
    fence = prefix + "fence"
  }

  /// The channel that notifies a locker of its grants.
  func inbox(of lockerID: String) -> String { "\(prefix)inbox:\(lockerID)" }

  /// A lock's key, its queue and its entries, in the order of the scripts.
  func keys(of key: String) -> [String] { [key, queue(of: key), helper("entries", key)] }

  func queue(of key: String) -> String { helper("queue", key) }

  /// The key that records more about a lock's holder, if the holder wants that.
  func record(of key: String) -> String { helper("record", key) }

  /// An unused key to try commands with.
  func trial(of key: String) -> String { helper("trial", key) }

  /// The name of a helper, in the hash slot of its key.
  private func helper(_ kind: String, _ key: String) -> String {
    Self.hasHashTag(key) ? "\(prefix)\(kind)::\(key)" : "\(prefix)\(kind):{\(key)}"
  }

  /// The keys, queues and entries of several locks, then the counter.
  func keysAndFence(of keys: [String]) -> [String] { keys.flatMap(self.keys(of:)) + [fence] }

  /// Whether a cluster finds the slot of a key by a part of it: the text between the first `{` and the next `}`,
  /// if it is not empty.
  private static func hasHashTag(_ key: String) -> Bool {
    let bytes = key.utf8
    guard let open = bytes.firstIndex(of: UInt8(ascii: "{")) else { return false }
    let tag = bytes[bytes.index(after: open)...]
    guard let close = tag.firstIndex(of: UInt8(ascii: "}")) else { return false }
    return close > tag.startIndex
  }
}
