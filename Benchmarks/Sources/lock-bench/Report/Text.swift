import Foundation

extension Double {
  /// The number with this many decimals.
  func text(_ digits: Int) -> String {
    formatted(.number.precision(.fractionLength(digits)).locale(Locale(identifier: "en_US")))
  }
}

extension Int {
  /// The number with separated thousands.
  var text: String { Double(self).text(0) }
}

extension Collection<Double> {
  /// The middle value, or the lower of the two in the middle.
  var median: Double? {
    isEmpty ? nil : sorted()[(count - 1) / 2]
  }
}
