/// What a worker has to say about its run.
struct Outcome: Codable {
  /// Pairs or handoffs.
  var operations = 0
  var values: [Metric: Double] = [:]
  var seconds = 0.0
  var cpuSeconds = 0.0
  var peakBytes = 0
}
