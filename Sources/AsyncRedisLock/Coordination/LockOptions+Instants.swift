extension LockOptions {
  /// When a lock is lost that is taken now, even though it is extended.
  func holdEnd(from now: Instant) -> Instant? { maxHold.map { now + $0 } }
}
