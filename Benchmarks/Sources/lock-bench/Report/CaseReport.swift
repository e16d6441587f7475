/// The results of all rounds of a case.
struct CaseReport: Codable {
  let scenario: Scenario
  let name: String
  let placement: Placement
  /// The medians of all rounds; for locks lost and overlaps, the worst round.
  let medians: [Contestant: [Metric: Double]]
  /// The medians of the ratios to the floor, which are computed for each round.
  let ratiosToFloor: [Contestant: [Metric: Double]]
  let verdicts: [Verdict]
  let rounds: [Contestant: [Sample]]

  init(
    _ measured: Case, of scenario: Scenario, _ rounds: [Contestant: [Sample]], first: [Sample],
    before: [Sample]
  ) {
    self.scenario = scenario
    name = measured.name
    placement = measured.placement.possible
    self.rounds = rounds
    medians = rounds.mapValues { samples in
      Self.forEachMetric { metric in
        let values = samples.compactMap { $0[metric] }
        return metric.isFault ? values.max() : values.median
      }
    }
    let floor = rounds[.floor, default: []]
    let ratios = rounds.mapValues { samples in
      Self.forEachMetric { Self.ratio($0, samples, floor) }
    }
    ratiosToFloor = ratios
    let library = rounds[.library, default: []]
    let absolute = medians[.library, default: [:]]
    verdicts = measured.goals.map { goal in
      let value =
        switch goal.basis {
        case .absolute: absolute[goal.metric]
        case .floor: ratios[.library]?[goal.metric]
        case .firstCase: Self.ratio(goal.metric, library, first)
        case .caseBefore: Self.ratio(goal.metric, library, before)
        }
      return Verdict(goal, value)
    }
  }

  private static func forEachMetric(_ value: (Metric) -> Double?) -> [Metric: Double] {
    Dictionary(
      uniqueKeysWithValues: Metric.allCases.compactMap { metric in
        value(metric).map { (metric, $0) }
      })
  }

  private static func ratio(_ metric: Metric, _ samples: [Sample], _ base: [Sample]) -> Double? {
    zip(samples, base).compactMap { sample, base -> Double? in
      guard let value = sample[metric], let base = base[metric], base > 0 else { return nil }
      return value / base
    }.median
  }
}
