/// The instructions for a worker.
struct WorkerOrder: Codable {
  var contestant: Contestant
  var job: Job
  var crowd = Crowd()
  /// The server, or a proxy in front of it.
  var url: String
  /// The prefix of all keys in this measurement.
  var prefix: String
  /// The number of this worker among the workers of the measurement.
  var worker = 0
  /// Whether to count allocations and references.
  var counts = false
  /// The file of the ``HandoffLog`` that the workers share.
  var logPath: String?

  /// How long a lock of the crate or the floor outlives its last extension, in milliseconds.
  static let ttl = 3000

  /// The contended key.
  var contendedKey: String { "\(prefix)contended" }

  /// A key that only one task uses.
  func ownKey(_ index: Int) -> String { "\(prefix)own:\(worker):\(index)" }

  /// A key that is held while something else is measured.
  func heldKey(_ index: Int) -> String { "\(prefix)held:\(worker):\(index)" }
}
