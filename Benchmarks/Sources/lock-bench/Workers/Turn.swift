/// The time budget of a contender.
enum Turn {
  /// How long a contender holds the lock.
  static let holdMilliseconds: UInt64 = 1
  /// How long a contender waits before it asks again.
  static let thinkMilliseconds: UInt64 = 5
}
