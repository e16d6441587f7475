/// The printed tables of a scenario.
struct ScenarioTables {
  let scenario: Scenario
  let cases: [(measured: Case, report: CaseReport)]

  var text: String {
    var parts = ["## \(scenario.title)"]
    var rest = cases[...]
    while let first = rest.first {
      let columns = Columns(first.measured)
      let group = rest.prefix { Columns($0.measured) == columns }
      rest = rest.dropFirst(group.count)
      parts.append(table(Array(group), columns))
    }
    return parts.joined(separator: "\n\n")
  }

  private func table(
    _ cases: [(measured: Case, report: CaseReport)], _ columns: Columns
  ) -> String {
    let labels = columns.metrics.flatMap { metric in
      metric == columns.compared ? [metric.label, "/floor"] : [metric.label]
    }
    var table = Table(["", "placement", "contestant"] + labels + ["goals"], words: (3, 1))
    for (measured, report) in cases {
      for contestant in measured.contestants {
        let goals = contestant == .library ? report.verdicts.map(\.text) : []
        table.add(
          [report.name, report.placement.rawValue, contestant.label]
            + figures(of: contestant, report, columns) + [goals.joined(separator: "; ")])
      }
    }
    return table.text
  }

  private func figures(
    of contestant: Contestant, _ report: CaseReport, _ columns: Columns
  ) -> [String] {
    columns.metrics.flatMap { metric -> [String] in
      let figure = report.medians[contestant]?[metric]
      let isDisturbed = metric == .othersShare && (figure ?? 0) > 10
      let value = (figure?.text(metric.digits) ?? "–") + (isDisturbed ? " !" : "")
      guard metric == columns.compared else { return [value] }
      return [value, report.ratiosToFloor[contestant]?[metric]?.text(2) ?? "–"]
    }
  }
}
