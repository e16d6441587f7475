extension LockOptions {
  /// When a lock is lost that is taken now, even though it is extended.
  var holdEnd: Instant? { maxHold.map { .now + $0 } }
}
