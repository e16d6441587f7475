/// The goal for a figure of the library.
struct Goal: Codable {
  /// The basis that the figure is compared with.
  enum Basis: String, Codable {
    case absolute
    /// The floor of the same round.
    case floor
    /// The library in the scenario's first case, in the same round.
    case firstCase
    /// The library in the case before, in the same round.
    case caseBefore
  }

  enum Direction: String, Codable {
    case atLeast
    case atMost
  }

  let metric: Metric
  let direction: Direction
  let bound: Double
  let basis: Basis

  static func atLeast(_ metric: Metric, _ bound: Double, of basis: Basis = .absolute) -> Goal {
    Goal(metric: metric, direction: .atLeast, bound: bound, basis: basis)
  }

  static func atMost(_ metric: Metric, _ bound: Double, of basis: Basis = .absolute) -> Goal {
    Goal(metric: metric, direction: .atMost, bound: bound, basis: basis)
  }

  func isMet(by value: Double) -> Bool {
    direction == .atLeast ? value >= bound : value <= bound
  }
}
