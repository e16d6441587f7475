extension Checker {
  /// Fencing tokens that do not grow in the order of holding, or that were issued twice.
  public var fenceFindings: [Finding] {
    history.holdings.sorted { $0.key < $1.key }.flatMap { _, holdings in
      duplicates(holdings) + setbacks(holdings) + certainSetbacks(holdings)
    }
  }

  private func duplicates(_ holdings: [Record]) -> [Finding] {
    Dictionary(grouping: holdings, by: \.fence).values.compactMap { same in
      guard same.count > 1 else { return nil }
      return Finding(.fence, "A fencing token was issued twice:", same[0], same[1])
    }
  }

  /// In the order in which the holders learned of their locks.
  ///
  /// A holder that the server has forgotten may learn of its lock after the next holder did.
  private func setbacks(_ holdings: [Record]) -> [Finding] {
    var findings: [Finding] = []
    var largest: Record?
    for holding in holdings {
      guard let before = largest, holding.fence <= before.fence else {
        largest = holding
        continue
      }
      if holding.fence < before.fence,
        !mayBeForgotten(from: holding.invoked, to: holding.acquired)
      {
        findings.append(Finding(.fence, "A later holder has a lower number:", before, holding))
      }
    }
    return findings
  }

  /// If a call asks after another has got its lock, even a server that forgets gives it a higher number.
  ///
  /// A lock that was handed on within a process is an exception: its number may have been drawn before.
  private func certainSetbacks(_ holdings: [Record]) -> [Finding] {
    var findings: [Finding] = []
    var largest: Record?
    var known = holdings[...]
    let validity = 2 * limits.ttl + limits.slack
    for holding in holdings.sorted(by: { $0.invoked < $1.invoked }) {
      while let first = known.first, first.acquired + validity < holding.invoked {
        if first.fence > largest?.fence ?? 0 { largest = first }
        known.removeFirst()
      }
      if let largest, holding.fence < largest.fence,
        mayBeForgotten(from: holding.invoked, to: holding.acquired)
      {
        findings.append(
          Finding(.fence, "A later request got a lower number:", largest, holding))
      }
    }
    return findings
  }
}
