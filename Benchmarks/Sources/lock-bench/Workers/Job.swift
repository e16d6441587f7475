/// A worker's job during a measurement.
enum Job: Codable, Hashable {
  /// Takes and releases a lock, one pair after another; ends early at the deadline.
  case pairs(count: Int)
  /// Takes and releases locks in this many tasks, each with a key of its own, up to the deadline.
  case throughput(tasks: Int)
  /// Takes turns at one key in this many tasks, and with other workers, up to the deadline.
  case handoff(tasks: Int)
  /// Holds this many locks up to the deadline.
  case hold(locks: Int)

  /// Whether the deadline ends the job, rather than the amount of work.
  var isTimed: Bool {
    if case .pairs = self { false } else { true }
  }
}
