/// What a worker is told to do.
struct WorkerOrder: Codable {
  var contestant: Contestant
  var job: Job
  var crowd = Crowd()
  /// The server, or a proxy before it.
  var url: String
  /// What the keys of this measurement begin with.
  var prefix: String
  /// The number of this worker among those that are measured together.
  var worker = 0
  /// Whether to count allocations and references.
  var counts = false
  /// The file of the ``HandoffLog`` that the workers share.
  var logPath: String?

  /// What a lock of the crate and of the floor outlives its last extension by, in milliseconds.
  static let ttl = 3000

  /// The key that all contend for.
  var contendedKey: String { "\(prefix)contended" }

  /// A key that nobody else uses.
  func ownKey(_ index: Int) -> String { "\(prefix)own:\(worker):\(index)" }

  /// A key that is held while something else is measured.
  func heldKey(_ index: Int) -> String { "\(prefix)held:\(worker):\(index)" }
}
