/// What one contestant does for one kind of ``Job``, inside a process of its own.
protocol Workload {
  /// Connects, warms up, and takes what is to be held.
  init(_ order: WorkerOrder) async throws

  /// Does what is measured; the deadline is one of ``Monotonic``.
  mutating func run(until deadline: UInt64) async throws -> Outcome

  /// How many of the locks that were held are not any more; asked after the run, unmeasured.
  var lostLocks: Int? { get }

  /// How many of the locks that were to be held could not be taken.
  var locksNotTaken: Int? { get }

  /// Gives back what is held, unmeasured.
  func end() async throws
}

extension Workload {
  var lostLocks: Int? { nil }

  var locksNotTaken: Int? { lostLocks.map { _ in 0 } }

  func end() async throws {}
}
