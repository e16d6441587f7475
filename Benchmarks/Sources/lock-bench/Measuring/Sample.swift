/// The result of one round for one contestant.
struct Sample: Codable {
  var values: [Metric: Double] = [:]

  subscript(metric: Metric) -> Double? {
    get { values[metric] }
    set { values[metric] = newValue }
  }

  /// Sets a rate, if it is defined.
  mutating func set(_ metric: Metric, _ count: Double, per divisor: Double) {
    if divisor > 0 { values[metric] = count / divisor }
  }
}
