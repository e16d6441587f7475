/// How durations are written in URLs and on the command line.
extension Duration {
  /// Reads `500ms`, `1.5s`, `5m`, `2h`, `7d`, or a plain number of seconds; truncated to billionths of the unit.
  package init?(text: String) {
    let number = text.utf8.prefix { $0.isASCIIDigit || $0 == UInt8(ascii: ".") }
    let unit: Duration
    switch text[number.endIndex...] {
    case "ms": unit = .milliseconds(1)
    case "", "s": unit = .seconds(1)
    case "m": unit = .seconds(60)
    case "h": unit = .seconds(3600)
    case "d": unit = .seconds(86_400)
    default: return nil
    }

    let parts = number.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    // The limit keeps milliseconds far from overflow; in seconds it is about 300 years.
    guard parts.count <= 2, let whole = Int(digits: parts[0]), whole < 10_000_000_000 else {
      return nil
    }
    self = unit * whole
    guard parts.count == 2 else { return }
    let decimals = parts[1].prefix(9)
    guard let fraction = Int(digits: decimals), parts[1].allSatisfy(\.isASCIIDigit) else {
      return nil
    }
    var scale = 1
    for _ in decimals { scale *= 10 }
    self += unit * fraction / scale
  }

  /// The duration in whole milliseconds, in the largest unit that leaves no fraction: `1500ms`, `90s`, `2h`.
  package var text: String {
    let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    for (unit, size) in [("d", Int64(86_400_000)), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
    where milliseconds >= size && milliseconds.isMultiple(of: size) {
      return "\(milliseconds / size)\(unit)"
    }
    return "\(milliseconds)ms"
  }
}
