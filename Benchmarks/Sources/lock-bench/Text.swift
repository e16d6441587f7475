import Foundation

extension Double {
  /// The number with so many digits behind the point.
  func text(_ digits: Int) -> String {
    formatted(.number.precision(.fractionLength(digits)).locale(Locale(identifier: "en_US")))
  }
}

extension String {
  /// The string filled up with spaces.
  func padded(_ length: Int) -> String { padding(toLength: length, withPad: " ", startingAt: 0) }
}
