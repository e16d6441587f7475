/// What a worker does while it is measured.
enum Job: Codable, Hashable {
  /// Takes and releases a lock, one pair after the other; ends early at the deadline.
  case pairs(count: Int)
  /// Takes and releases locks from so many tasks, each with a key of its own, up to the deadline.
  case throughput(tasks: Int)
  /// Takes turns at one key with so many tasks, and with other workers, up to the deadline.
  case handoff(tasks: Int)
  /// Holds so many locks up to the deadline.
  case hold(locks: Int)

  /// Whether the deadline ends it, and not the work.
  var isTimed: Bool {
    if case .pairs = self { false } else { true }
  }
}
