/// Whether a goal was met.
struct Verdict: Codable {
  let goal: Goal
  /// The figure; nil if there was nothing to measure.
  let value: Double?
  let isMet: Bool

  init(_ goal: Goal, _ value: Double?) {
    self.goal = goal
    self.value = value
    isMet = value.map(goal.isMet) ?? false
  }

  /// The text for the table: the goal, and by how much it was met or missed.
  var text: String {
    let sign = goal.direction == .atLeast ? "≥" : "≤"
    let unit =
      switch goal.basis {
      case .absolute: ""
      case .floor: " of floor"
      case .firstCase: " of first case"
      case .caseBefore: " of case before"
      }
    let wanted = "\(goal.metric.label) \(sign) \(goal.bound.brief)\(unit)"
    guard let value else { return "\(wanted): MISSED, nothing measured" }
    guard !isMet else { return "\(wanted): met (\(value.brief))" }
    guard goal.bound > 0 else { return "\(wanted): MISSED (\(value.brief))" }
    let distance = abs(value / goal.bound - 1) * 100
    return "\(wanted): MISSED by \(distance.text(0)) % (\(value.brief))"
  }
}

extension Double {
  /// The number with as many decimals as a goal needs.
  fileprivate var brief: String {
    self == rounded() ? text(0) : self < 10 ? text(2) : text(1)
  }
}
