/// The way in which one contestant does one kind of ``Job``, inside a process of its own.
protocol Workload {
  /// Connects, warms up, and takes the locks to be held.
  init(_ order: WorkerOrder) async throws

  /// Does the measured work; the deadline is one of ``Monotonic``.
  mutating func run(until deadline: UInt64) async throws -> Outcome

  /// How many of the held locks are no longer held; asked after the run, unmeasured.
  var lostLocks: Int? { get }

  /// How many of the locks to be held could not be taken.
  var locksNotTaken: Int? { get }

  /// Gives back the held locks, unmeasured.
  func end() async throws
}

extension Workload {
  var lostLocks: Int? { nil }

  var locksNotTaken: Int? { lostLocks.map { _ in 0 } }

  func end() async throws {}
}
