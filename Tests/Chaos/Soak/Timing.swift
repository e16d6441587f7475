import ChaosLog

/// How long the locks of a run last, and how long the server may take, in milliseconds.
struct Timing: Codable, Sendable {
  /// How long a lock outlives its last extension.
  var ttl: Int
  /// How often it is extended.
  var extend: Int
  /// How long the server may take to answer.
  var operationTimeout: Int

  /// The promises of the library with this timing.
  var limits: Limits {
    Limits(
      ttl: .milliseconds(ttl), extend: .milliseconds(extend),
      operationTimeout: .milliseconds(operationTimeout))
  }
}
