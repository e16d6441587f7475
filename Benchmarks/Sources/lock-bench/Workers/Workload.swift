/// What one contestant does for one kind of ``Job``, inside a process of its own.
protocol Workload {
  /// Connects, warms up, and takes what is to be held.
  init(_ order: WorkerOrder) async throws

  /// Does what is measured; the deadline is one of ``Monotonic``.
  mutating func run(until deadline: UInt64) async throws -> Outcome

  /// Gives back what is held, unmeasured.
  func end() async throws
}

extension Workload {
  func end() async throws {}
}
