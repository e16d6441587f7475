/// Stretches of time, in order; no two of them touch.
struct Intervals {
  private var parts: [(start: UInt64, end: UInt64)] = []

  /// Joins stretches that may overlap.
  init(_ stretches: some Sequence<(start: UInt64, end: UInt64)>) {
    for part in stretches.sorted(by: { $0.start < $1.start }) where part.end > part.start {
      if let last = parts.last, part.start <= last.end {
        parts[parts.count - 1].end = max(last.end, part.end)
      } else {
        parts.append(part)
      }
    }
  }

  /// Joins the times of episodes.
  init(_ episodes: some Sequence<Episode>) {
    self.init(episodes.lazy.map { (start: $0.start, end: $0.end) })
  }

  /// How much of a stretch is covered.
  func length(from start: UInt64, to end: UInt64) -> UInt64 {
    var sum: UInt64 = 0
    for part in parts[firstIndex(endingAfter: start)...] {
      guard part.start < end else { break }
      sum += min(part.end, end) - max(part.start, start)
    }
    return sum
  }

  /// How many parts touch a stretch.
  func count(from start: UInt64, to end: UInt64) -> Int {
    parts[firstIndex(endingAfter: start)...].prefix { $0.start < end }.count
  }

  /// The gaps between the first and the last part.
  var gaps: [(start: UInt64, end: UInt64)] {
    zip(parts, parts.dropFirst()).map { ($0.end, $1.start) }
  }

  /// When the parts begin.
  var starts: [UInt64] { parts.map(\.start) }

  /// When they end.
  var ends: [UInt64] { parts.map(\.end) }

  private func firstIndex(endingAfter instant: UInt64) -> Int {
    parts.firstIndexBehind { $0.end > instant }
  }
}

extension Array {
  /// The first index whose element satisfies a condition, provided that all elements behind it do, too.
  fileprivate func firstIndexBehind(_ isBehind: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

extension [UInt64] {
  /// How many of the sorted numbers are below a limit.
  func count(below limit: UInt64) -> Int { firstIndexBehind { $0 >= limit } }
}
