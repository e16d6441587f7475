extension LockOptions {
  /// When a lock is lost that is taken now, even though it is extended.
  ///
  /// The clock is looked at only where that matters, which is seldom.
  func holdEnd(from now: @autoclosure () -> Instant) -> Instant? { maxHold.map { now() + $0 } }
}
