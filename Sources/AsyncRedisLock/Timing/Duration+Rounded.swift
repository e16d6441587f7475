extension Duration {
  /// The duration as a person reads it: `120 µs`, `85 ms`, `4.2 s`, `95 s`.
  package var roundedForMessage: String {
    guard self >= .zero else {
      return self < .zero - .longest
        ? "less than -10 years" : "-\((.zero - self).roundedForMessage)"
    }
    guard self <= .longest else { return "more than 10 years" }
    let microseconds = wholeNanoseconds / 1000
    switch microseconds {
    case 0: return "0 s"
    case ..<1000: return "\(microseconds) µs"
    case ..<1_000_000: return "\(microseconds / 1000) ms"
    default:
      let tenths = (microseconds + 50_000) / 100_000
      let isWhole = tenths.isMultiple(of: 10) || tenths >= 600
      return isWhole ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
    }
  }
}
