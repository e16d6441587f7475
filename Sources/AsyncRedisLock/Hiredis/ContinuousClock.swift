/// Takes the place of the standard library's in this module: the same clock, see ``Instant``.
enum ContinuousClock {
  typealias Instant = AsyncRedisLock.Instant

  static var now: Instant { .now }
}
