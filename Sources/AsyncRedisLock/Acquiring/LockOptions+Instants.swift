extension LockOptions {
  /// When a lock taken now is lost even though it is extended.
  ///
  /// The clock is read only if that matters, which is seldom.
  func holdEnd(from now: @autoclosure () -> Instant) -> Instant? { maxHold.map { now() + $0 } }
}
