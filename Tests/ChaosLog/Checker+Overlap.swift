extension Checker {
  /// Overlapping holders of a key.
  ///
  /// A lease counts up to the end of the validity that its holder was sure of. Only a server that forgets can let
  /// two overlap. In that case, the check measures how long both actually believed they held the key.
  public var overlapFindings: [Finding] {
    overlappingPairs.compactMap { first, second in
      guard mayBeForgotten(from: min(first.invoked, second.invoked), to: second.acquired) else {
        return Finding(.overlap, "Key \(first.key) had two holders:", first, second)
      }
      let end = min(first.endOfBelief, second.endOfBelief)
      guard end > second.acquired else { return nil }
      let length = end - second.acquired
      guard length > allowedOverlap(first, second, until: end) else { return nil }
      return Finding(
        .overlap, "Key \(first.key) had two holders for \(length.inSeconds) s:", first, second)
    }
  }

  /// How many pairs of leases of a key overlapped, allowed or not, and the longest time for which two holders both
  /// believed they held it.
  public var overlaps: (count: Int, longest: UInt64) {
    let pairs = overlappingPairs
    let longest = pairs.map { first, second in
      let end = min(first.endOfBelief, second.endOfBelief)
      return end > second.acquired ? end - second.acquired : 0
    }.max()
    return (pairs.count, longest ?? 0)
  }

  /// Allows an overlap until the next extension is answered, longer only where something delayed that.
  private func allowedOverlap(_ first: Record, _ second: Record, until end: UInt64) -> UInt64 {
    let start = second.acquired
    let outageTime = outages.length(from: start, to: end)
    let repeats = UInt64(outages.count(from: start, to: end))
    return limits.extend + limits.operationTimeout + limits.slack
      + stallTime(of: first.process, from: start, to: end)
      + stallTime(of: second.process, from: start, to: end)
      + outageTime + repeats * limits.operationTimeout
  }

  private var overlappingPairs: [(Record, Record)] {
    history.holdings.sorted { $0.key < $1.key }.flatMap { _, holdings in
      var active: [Record] = []
      var pairs: [(Record, Record)] = []
      for holding in holdings {
        active.removeAll { $0.end <= holding.acquired }
        pairs += active.map { ($0, holding) }
        active.append(holding)
      }
      return pairs
    }
  }
}
