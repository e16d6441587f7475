/// A worker's report on its run.
struct Outcome: Codable {
  /// The number of pairs or handoffs.
  var operations = 0
  var values: [Metric: Double] = [:]
  var seconds = 0.0
  var cpuSeconds = 0.0
  var peakBytes = 0
}
