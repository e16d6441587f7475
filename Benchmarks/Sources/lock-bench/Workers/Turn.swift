/// How contenders spend their time.
enum Turn {
  /// How long each holds the lock.
  static let holdMilliseconds: UInt64 = 1
  /// How long each waits before it asks again.
  static let thinkMilliseconds: UInt64 = 5
}
