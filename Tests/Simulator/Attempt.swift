import AsyncRedisLock

/// A call that wants a lock.
// Unchecked: one thread runs a simulation.
final class Attempt: @unchecked Sendable {
  let number: Int
  let process: SimulatedProcess
  let start: Int64
  /// The key that it waits for; nil if it does not wait.
  let waitsFor: String?
  /// The task that makes the call, until the call is over.
  var task: Task<Void, any Error>?
  /// How many moments it has passed at which it could have been cancelled.
  var moments = 0
  var isOver = false
  /// When its time is up, by the clock of its process; nil if it has no time limit.
  var deadline: Instant?
  /// Whether the body of a `withLock` is running and has not been told that the lock has ended.
  var isUntold = false
  /// When the call got the lock.
  var heldSince: Int64?

  /// Whether it may still be waiting.
  var isWaiting: Bool { !isOver && heldSince == nil && !process.isDead }

  init(_ number: Int, of process: SimulatedProcess, at start: Int64, waitsFor key: String?) {
    self.number = number
    self.process = process
    waitsFor = key
    self.start = start
  }
}
