import Histogram

/// The latencies of acquiring and releasing.
struct PairLatencies {
  /// How many pairs are taken before the measurement, if there is time.
  static let warmUpPairs = 200
  /// When the warm-up has to end.
  static var warmUpEnd: UInt64 { Monotonic.now() + 300_000_000 }

  private var acquire = Self.empty
  private var release = Self.empty

  /// Records a pair by the instants of its beginning, middle and end.
  mutating func record(_ start: UInt64, _ held: UInt64, _ end: UInt64) {
    acquire.record(held - start)
    release.record(end - held)
  }

  /// The outcome of a run that has recorded each of its pairs.
  var outcome: Outcome {
    Outcome(
      operations: Int(acquire.totalCount),
      values: [
        .acquireP50: acquire.microseconds(50), .acquireP99: acquire.microseconds(99),
        .releaseP50: release.microseconds(50), .releaseP99: release.microseconds(99),
      ])
  }

  private static var empty: Histogram<UInt32> { .nanoseconds }
}
