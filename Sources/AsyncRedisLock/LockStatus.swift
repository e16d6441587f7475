/// The server's view of a locked key.
public struct LockStatus: Sendable, Hashable {
  /// The key that was asked about.
  public let key: String
  /// The holder of the key.
  public let holder: LockHolder
  /// How long until the key expires unless it is extended; nil if it never expires.
  public let remaining: Duration?
  /// How many lockers wait in the server's queue.
  ///
  /// Tasks of one locker that wait for the same keys count as one there. Clients that poll without queueing are
  /// unknown to the server.
  public let waiterCount: Int
  /// The first 100 waiters, in the order in which they get the lock.
  public let waiters: [LockHolder]
  /// Whether the key is only reserved: the holder waits for further keys, or has yet to ask, as no notice reaches it.
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
