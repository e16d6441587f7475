/// What a server does if its memory is full, according to `INFO memory`.
struct MemoryPolicy {
  let policy: String
  private let limit: UInt64

  /// Reads the answer; nil if it does not tell.
  init?(_ text: String) {
    func value(_ name: String) -> String? {
      let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name + ":") }
      return line.map { String($0.dropFirst(name.count + 1)) }
    }
    guard let policy = value("maxmemory_policy"),
      let limit = value("maxmemory").flatMap(UInt64.init)
    else { return nil }
    self.policy = policy
    self.limit = limit
  }

  /// Whether the server drops keys that have not expired: any, or those with a ttl, such as locks.
  var mayDropLocks: Bool { limit > 0 && policy != "noeviction" }
}
