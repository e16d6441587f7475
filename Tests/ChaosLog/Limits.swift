/// The library's promises, in nanoseconds.
public struct Limits: Sendable {
  /// How long a lock outlives its last extension.
  public var ttl: UInt64
  /// How often a lock is extended.
  public var extend: UInt64
  /// How long the server may take to answer.
  public var operationTimeout: UInt64
  /// How late things may happen on a busy machine, apart from stalls that were noticed.
  public var slack: UInt64
  /// How much longer than the ttl a key may be free while a call waits for it.
  public var gap: UInt64

  /// Sets the limits; slack and gap are generous unless given.
  public init(
    ttl: UInt64, extend: UInt64, operationTimeout: UInt64, slack: UInt64 = .milliseconds(1000),
    gap: UInt64 = .milliseconds(5000)
  ) {
    self.ttl = ttl
    self.extend = extend
    self.operationTimeout = operationTimeout
    self.slack = slack
    self.gap = gap
  }
}
