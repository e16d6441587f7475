/// What a server does when its memory is full, as `INFO memory` tells it.
struct MemoryPolicy {
  let policy: String
  private let limit: UInt64

  /// Reads the answer; nil when it does not say.
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

  /// Whether it takes keys that have not expired: any, or those that expire some time, as locks do.
  var mayDropLocks: Bool { limit > 0 && policy != "noeviction" }
}
