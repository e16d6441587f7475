import Histogram

extension Histogram<UInt32> {
  /// For nanoseconds up to a minute, with three digits.
  static var nanoseconds: Self {
    Self(highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
  }

  /// A percentile of nanoseconds, in microseconds.
  func microseconds(_ percentile: Double) -> Double {
    Double(valueAtPercentile(percentile)) / 1000
  }
}
