/// What the server says about a key that is locked.
public struct LockStatus: Sendable, Hashable {
  /// The key that was asked about.
  public let key: String
  /// Who holds it.
  public let holder: LockHolder
  /// How long until the key expires unless it is extended; nil when it never expires.
  public let remaining: Duration?
  /// How many lockers wait in the server's queue.
  ///
  /// The tasks of one locker that want the same keys count as one there. Clients that poll without
  /// queueing are not known to the server.
  public let waiterCount: Int
  /// Who they are, in the order in which they get the lock; the first 100.
  public let waiters: [LockHolder]
  /// Whether the key is only reserved: the holder waits for further keys, and gets its lock with the last of them.
  public let isReserved: Bool

  init(key: String, _ inspection: Inspection) {
    self.key = key
    holder = LockHolder(value: inspection.state.holder ?? "")
    remaining = inspection.state.remaining
    waiterCount = inspection.waiterCount
    isReserved = inspection.isReserved
    waiters = inspection.waiters.map(LockHolder.init(value:))
  }
}

extension LockStatus: CustomStringConvertible {
  /// The status in one line, for logs.
  public var description: String {
    let time = remaining.map { "expires in \($0.roundedForMessage)" } ?? "never expires"
    return
      "\(key.abbreviatedForMessage): \(isReserved ? "reserved for" : "held by") \(holder), \(time), waiters: \(waiterCount)"
  }
}
